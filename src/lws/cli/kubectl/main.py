"""What ``kubectl-lws`` does; ``kubectl lws`` finds it on the PATH.

Nothing is imported before it is needed, since most of a short command's time is imports.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence

from lws import __version__
from lws.cli.kubectl.arguments import Arguments, UsageError, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it succeeded, 1 when it failed, 2 when the command line is wrong."""
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        _complain(str(error))
        return 2
    if arguments.command == "version":
        _version(arguments.output)
        return 0
    return _run(arguments)


def _version(output: str) -> None:
    text = f"kubectl-lws {__version__}"
    if output in ("json", "yaml"):
        from lws.cli.kubectl.documents import Version
        from lws.cli.kubectl.printing import show
        from lws.cli.kubectl.terminal import standard_output

        show(standard_output(), output, lambda: Version(version=__version__), [])
    else:
        sys.stdout.write(f"{text}\n")


def _run(arguments: Arguments) -> int:
    gc.disable()  # imports make no garbage, and looking for it takes a tenth of a short command
    import asyncio

    from lws.client.quickimport import import_http

    import_http()

    if arguments.command == "ui":
        from lws.cli.kubectl.ui.command import run
    else:
        from lws.cli.kubectl.commands import run
    from lws.cli.output import cannot_be_written
    from lws.errors import ConflictError, LwsError, NotFoundError

    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from now on the command ends in order
    try:
        return asyncio.run(run(arguments))()
    except NotFoundError as error:
        _complain(f"{error}; check the name and the namespace")
    except ConflictError:
        _complain(f"{arguments.name} was edited meanwhile; nothing was written, try again")
    except LwsError as error:
        _complain(str(error))
    except OSError as error:
        return cannot_be_written("kubectl-lws", error)
    except KeyboardInterrupt:
        return 130
    return 1


def _complain(text: str) -> None:
    sys.stderr.write(f"kubectl-lws: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
