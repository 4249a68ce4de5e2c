from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from support.exact_simulator import ExactClient, exact

REDIRECT = "https://kruispost.example/callback"


async def _consent(client: ExactClient) -> str:
    answer = await client.http.get(
        "/api/oauth2/auth",
        params={
            "client_id": client.simulator.settings.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "state": "s p",
        },
    )
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location.startswith(REDIRECT)
    assert "%21" in location  # the code arrives encoded and must be decoded before it is posted
    query = parse_qs(urlsplit(location).query)
    assert query["state"] == ["s p"]
    return query["code"][0]


async def _token(client: ExactClient, **form: str) -> httpx.Response:
    settings = client.simulator.settings
    secret = {"client_id": settings.client_id, "client_secret": settings.client_secret}
    return await client.http.post("/api/oauth2/token", data=secret | form)


async def _redeem(client: ExactClient, code: str) -> httpx.Response:
    return await _token(client, grant_type="authorization_code", code=code, redirect_uri=REDIRECT)


async def test_a_code_gives_tokens_once():
    async with exact() as client:
        code = await _consent(client)
        first = await _redeem(client, code)
        assert first.status_code == 200
        assert first.json()["expires_in"] == "600"  # text, not a number
        again = await _redeem(client, code)
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


async def test_a_code_dies_after_three_minutes():
    async with exact() as client:
        code = await _consent(client)
        client.clock.forward(181)
        assert (await _redeem(client, code)).status_code == 400


async def test_refreshing_too_early_is_refused_and_costs_nothing():
    async with exact() as client:
        tokens = await client.login()
        client.clock.forward(569)
        early = await _token(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert early.status_code == 400
        assert early.json()["error"] == "access_denied"
        assert early.headers["Reason"] == "TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired"
        client.clock.forward(1)
        late = await _token(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert late.status_code == 200


async def test_a_refresh_token_works_once():
    async with exact() as client:
        tokens = await client.login()
        client.clock.forward(600)
        fresh = await _token(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert fresh.json()["refresh_token"] != tokens["refresh_token"]
        client.clock.forward(600)
        used = await _token(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert used.status_code == 400
        assert used.json()["error_description"] == "Old refresh token used."


async def test_a_new_consent_kills_the_older_chain():
    async with exact() as client:
        older = await client.login()
        await _redeem(client, await _consent(client))
        client.clock.forward(600)
        answer = await _token(client, grant_type="refresh_token", refresh_token=older["refresh_token"])
        assert answer.status_code == 400


async def test_a_refresh_token_expires_after_thirty_days():
    async with exact() as client:
        tokens = await client.login()
        client.clock.forward(30 * 86_400 + 1)
        answer = await _token(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"
        assert answer.json()["error_description"].startswith("The refresh token expired at 4/9/2026 10:00:00 AM")


async def test_an_access_token_lives_ten_minutes():
    async with exact() as client:
        assert (await client.get("crm/Accounts")).status_code == 200
        client.clock.forward(600)
        assert (await client.get("crm/Accounts")).status_code == 401
        client.token = "never given out"
        assert (await client.get("crm/Accounts")).status_code == 401


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_wrong_secret_gives_nothing(secret):
    async with exact() as client:
        code = await _consent(client)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_secret": secret}
        assert (await _token(client, **form)).status_code == 400


async def test_missing_scopes_are_refused_by_name():
    async with exact(missing_scopes=("Organization administration",)) as client:
        answer = await client.get("sync/Deleted")
        assert answer.status_code == 403
        assert "Cannot read 'organization.administration' scope." in answer.text
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_only_granted_divisions_can_be_read():
    async with exact(granted_divisions=(100002,)) as client:
        refused = await client.get("crm/Accounts")
        assert (refused.status_code, refused.headers["Reason"]) == (403, "NoDivisionAccess")
        assert [row["Code"] for row in await client.rows("system/Divisions", select="Code")] == [100002]
        me = (await client.http.get("/api/v1/current/Me", headers=client.headers())).json()["d"]["results"][0]
        assert me["CurrentDivision"] == 100001  # the current division may be one the user did not grant
