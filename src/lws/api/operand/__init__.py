"""The LeaderWorkerSetOperator: the one object by which the operator is told how to install and keep the controller.

Pure: types, names, messages and the CustomResourceDefinition (operator 2, 5.2).
"""
