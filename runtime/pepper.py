"""The pepper of an owner, as the settings describe it."""

from models.errors import InvalidFieldError, UnknownNameError
from models.identifiers import BETWEEN_SECRETS, Pepper, parse_identifier
from runtime.settings import Settings

__all__ = ["pepper_of"]


def pepper_of(settings: Settings) -> Pepper:
    """The one pepper of every process that makes or looks up nodes.

    Raises:
        InvalidFieldError: a secret, the phone region or a placeholder cannot be used; the text
            names the setting.
    """
    placeholders = [text.strip() for text in settings.identity_placeholders.split(",")]
    placeholders = [text for text in placeholders if text]
    try:
        for text in placeholders:
            parse_identifier(text)
    except (InvalidFieldError, UnknownNameError) as error:
        raise InvalidFieldError(
            "identity_placeholders",
            settings.identity_placeholders,
            f"a list such as phone:+12127365000,email:desk@shop.com ({error})",
        ) from error
    return Pepper(
        *settings.identity_pepper.split(BETWEEN_SECRETS),
        phone_region=settings.phone_region,
        placeholders=placeholders,
    )
