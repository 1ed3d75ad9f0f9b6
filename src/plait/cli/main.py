"""The command line: verbs that say the same words as the Python API.

``--json`` prints one JSON object on stdout and nothing else there; progress and logs go to stderr. Nothing
heavy is imported before a verb runs.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from plait import __version__
from plait.cli.collector import begin_without
from plait.cli.other_words import options_instead
from plait.cli.speaking import note
from plait.cli.terminal import STOPPED, say
from plait.cli.verbs import GROUPS, GroupedHelp
from plait.cli.wording import as_typed, with_flag

ENDS_AT_ONCE = ("serve", "search", "predict", "evaluate")

app = typer.Typer(
    name="plait",
    cls=GroupedHelp,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, judge and use models that understand text, images, sound and numbers together.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verbs in GROUPS.values():
    for verb in verbs:
        if isinstance(verb.app, typer.Typer):
            app.add_typer(verb.app, name=verb.example)
        else:
            app.command(
                verb.example.split()[0], epilog=f"Example: plait {verb.example}",
                context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True}
                if verb.passes_on else None,
            )(verb.app)  # fmt: skip


def main() -> None:
    """Entry point: turns what the user can mend into one message on stderr and an exit code.

    0 done (``plait`` or a group such as ``plait index`` alone prints its help), 1 ``check`` or ``verify`` found faults
    or ``drift`` a difference,
    2 an error, 130 stopped by Ctrl-C.
    """
    warnings.showwarning = _warn
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # of several processes the first speaks
        from plait import api

        if not api.is_first_process():
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  open for as long as the process lives
            warnings.simplefilter("ignore")
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        _fail("stopped", STOPPED)
    except BrokenPipeError:  # whoever read stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group typed alone: nothing was asked wrongly
            say(error.ctx.get_help())  # type: ignore[attr-defined]
            sys.exit(0)
        message = _message(error)
        if message is None:
            raise
        message = message if hasattr(error, "format_message") else with_flag(message, sys.argv[1:])
        _fail("\n".join([message, *map(as_typed, getattr(error, "__notes__", ()))]), 2)
    sys.exit(code if isinstance(code, int) else 0)


def start() -> None:
    """What a process runs: :func:`main`, and for verbs that only read a model the end of the process at once.

    Python takes apart thousands of imported modules, one by one, before it ends: seconds of a busy machine in which a
    server has stopped and a search was printed already.
    """
    begin_without("".join(sys.argv[1:2]))
    try:
        main()
    except SystemExit as end:
        if sys.argv[1:2] and sys.argv[1] in ENDS_AT_ONCE and isinstance(end.code, int | None):
            atexit._run_exitfuncs()  # what packages registered to tidy up
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code or 0)
        raise


def _message(error: Exception) -> str | None:
    """The sentence for an error that is the user's to mend; None for a fault of Plait."""
    if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing argument
        given = getattr(error, "ctx", None)
        path = given.command_path if given else "plait"
        if hasattr(error, "option_name") and (told := options_instead(given.command, path, _behind(path))):
            return told
        return f"{error.format_message()} (see {path} --help)"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else as_typed(error.strerror)
    if isinstance(error, MemoryError):
        if type(error) is MemoryError and error.args:  # Plait's own: what was too large, and what to do
            return as_typed(str(error))
        return "out of memory; use fewer rows, smaller images or --set train.batch_size=16"
    theirs = type(error).__module__.partition(".")[0] in ("pyarrow", "PIL", "plait", "safetensors", "torch")
    if isinstance(error, ValueError | TypeError | ImportError | RuntimeError | OSError) or theirs:
        return as_typed(str(error)) or None
    return None


def _behind(path: str) -> list[str]:
    """What was typed behind the verb."""
    return sys.argv[len(path.split()) :]


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"{note(str(message))}\n")


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"plait: {message.strip()}\n")
    sys.exit(code)


def _version(shown: bool) -> None:
    if shown:
        say(f"plait {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train, evaluate and use models that understand text, images, sound and numbers together."""
