"""Refusals in the words and the shape of Chargebee's error JSON."""

from typing import Any


class ApiError(Exception):
    """A refusal: HTTP status, stable api_error_code, and the parameter at fault where there is one."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str | None = "invalid_request",
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON body; the last three members are the legacy ones that Chargebee still sends."""
        body: dict[str, Any] = {"message": self.message}
        if self.kind is not None:
            body["type"] = self.kind
        body["api_error_code"] = self.code
        if self.param is not None:
            body["param"] = self.param
        body.update(error_code=self.code, error_msg=self.message, http_status_code=self.status)
        return body


def not_found(resource_id: str) -> ApiError:
    """404 for an id that no resource of that kind has."""
    return ApiError(404, "resource_not_found", f"{resource_id} not found")


def wrong_value(param: str, reason: str) -> ApiError:
    """400 for a parameter whose value cannot be used."""
    return ApiError(400, "param_wrong_value", f"{param} : {reason}", param=param)


def missing(param: str) -> ApiError:
    """400 for a mandatory parameter that was not sent."""
    return ApiError(400, "param_wrong_value", f"{param} : cannot be blank", param=param)


def invalid_state(message: str, param: str | None = None) -> ApiError:
    """409 for an operation that the status of the resource does not allow."""
    return ApiError(409, "invalid_state_for_request", message, param=param)
