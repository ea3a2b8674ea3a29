"""The exceptions of the whole package: mistakes of a user, and replies that an engine could not give."""


class UserError(Exception):
    """A mistake that the user can mend: a wrong flag, file, name, row or checkpoint.

    The message is one sentence that says what is wrong, where, and what to do. The command line
    prints it and exits with status 2, without a traceback.
    """


class EngineError(Exception):
    """An engine could not give a reply: a refused connection, an endpoint that fails, a stream that was cut.

    It is no fault of the model: the attempts that are missing get the verdict "error" and are played again on resume.

    rule: the rule that stands in these verdicts.
    """

    rule = "engine"


class PromptTooLongError(EngineError):
    """The first prompt of a dialogue does not fit into the model's context, so nothing can be asked."""

    rule = "prompt-too-long"
