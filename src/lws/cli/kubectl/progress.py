"""What somebody who follows a set is shown: how far a rollout is, in the words of ``kubectl rollout status``. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lws.planning.leaderworkerset.diagnosis.facts import Facts, SetFacts


@dataclass(frozen=True, slots=True)
class Progress:
    """One line about a rollout, and whether it is complete."""

    text: str
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """What a display shows; ``trouble`` says why it may be old."""

    facts: Facts
    trouble: str = ""


def of_rollout(lws: SetFacts) -> Progress:
    """What the status says about the rollout.

    A status that does not say which generation it describes (the reference up to v0.7.0) is taken at its word.
    """
    wanted = max(0, lws.replicas - lws.partition)
    if lws.unseen:
        return Progress("Waiting for the set's latest edit to be observed...")
    if lws.updated < wanted:
        return Progress(f"Waiting for rollout to finish: {lws.updated} out of {wanted} groups have been updated...")
    if lws.present > lws.replicas:
        ending = lws.present - lws.replicas
        return Progress(f"Waiting for rollout to finish: {ending} of {lws.present} groups are pending termination...")
    if lws.present < lws.replicas:
        return Progress(f"Waiting for rollout to finish: {lws.present} of {lws.replicas} groups exist...")
    if lws.ready < lws.replicas:
        return Progress(f"Waiting for rollout to finish: {lws.ready} of {lws.replicas} groups are ready...")
    if lws.partition and lws.updated < lws.replicas:
        return Progress(f"partitioned roll out complete: {lws.updated} new groups have been updated...", complete=True)
    return Progress(f'leaderworkerset "{lws.name}" successfully rolled out', complete=True)
