from support.exact_simulator import START_SECONDS, exact

UNKNOWN = "crm/Accounts(guid'00000000-0000-0000-0000-000000000001')"


async def test_every_division_call_carries_both_limits():
    async with exact() as client:
        headers = (await client.get("crm/Accounts")).headers
        assert headers["X-RateLimit-Minutely-Limit"] == "60"
        assert headers["X-RateLimit-Minutely-Remaining"] == "59"
        assert headers["X-RateLimit-Minutely-Reset"] == str(int(START_SECONDS + 60) * 1000)
        assert headers["X-RateLimit-Limit"] == "5000"
        assert headers["X-RateLimit-Remaining"] == "4999"
        assert headers["X-RateLimit-Reset"] == "1773187200000"  # 2026-03-11T00:00:00Z


async def test_the_minute_is_the_wall_clock_s_not_a_sliding_one():
    async with exact() as client:
        client.clock.forward(40)
        for _ in range(60):
            assert (await client.get("crm/Accounts", top="1", select="ID")).status_code == 200
        client.clock.forward(19.9)
        refused = await client.get("crm/Accounts")
        assert (refused.status_code, refused.content) == (429, b"")
        assert "X-RateLimit-Minutely-Reset" in refused.headers
        assert "X-RateLimit-Reset" not in refused.headers  # only the headers of the limit that was hit
        client.clock.forward(0.1)
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_the_day_ends_at_midnight_utc():
    async with exact(day_limit=2) as client:
        await client.get("crm/Accounts")
        await client.get("crm/Accounts")
        refused = await client.get("crm/Accounts")
        assert refused.status_code == 429
        assert "X-RateLimit-Reset" in refused.headers
        assert "X-RateLimit-Minutely-Reset" not in refused.headers
        client.clock.forward(14 * 3600)
        await client.login()
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_divisions_and_apps_have_windows_of_their_own():
    async with exact(minute_limit=1, more_clients=(("second-app", "secret"),)) as client:
        await client.get("crm/Accounts")
        assert (await client.get("crm/Accounts")).status_code == 429
        client.division = 100002
        assert (await client.get("crm/Accounts")).status_code == 200
        client.division = 100001
        tokens = (await client.control("tokens", client_id="second-app")).json()
        client.token = tokens["access_token"]
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_calls_without_a_division_are_not_counted():
    async with exact(minute_limit=1) as client:
        for _ in range(3):
            answer = await client.http.get("/api/v1/current/Me", headers=client.headers())
            assert answer.status_code == 200
            assert "X-RateLimit-Limit" not in answer.headers
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_a_refused_call_did_nothing():
    async with exact(minute_limit=1) as client:
        await client.get("crm/Accounts")
        assert (await client.post("crm/Accounts", {"Name": "Te laat"})).status_code == 429
        client.clock.forward(60)
        assert await client.rows("crm/Accounts") == []


async def test_the_minute_may_be_a_second_long():
    async with exact(minute_limit=2, minute_seconds=1.0) as client:
        await client.get("crm/Accounts")
        headers = (await client.get("crm/Accounts")).headers
        assert headers["X-RateLimit-Minutely-Reset"] == str(int(START_SECONDS + 1) * 1000)
        assert (await client.get("crm/Accounts")).status_code == 429
        client.clock.forward(1)
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_more_than_ten_errors_in_an_hour_block_the_key_for_an_hour():
    async with exact(minute_limit=1000, token_seconds=100_000) as client:
        for _ in range(10):
            assert (await client.get(UNKNOWN)).status_code == 404
        assert (await client.get("crm/Accounts")).status_code == 200
        assert (await client.get(UNKNOWN)).status_code == 404
        assert (await client.get("crm/Accounts")).status_code == 403
        client.clock.forward(3599)
        assert (await client.get("crm/Accounts")).status_code == 403
        client.clock.forward(1)
        assert (await client.get("crm/Accounts")).status_code == 200
        calls = await client.calls()
        assert (calls["errors_counted"], calls["error_blocks"]) == (11, 1)


async def test_a_second_block_lasts_longer():
    async with exact(minute_limit=1000, token_seconds=100_000, error_limit=1) as client:
        for _ in range(2):
            await client.get(UNKNOWN)
        client.clock.forward(3600)
        for _ in range(2):
            await client.get(UNKNOWN)
        client.clock.forward(3601)
        assert (await client.get("crm/Accounts")).status_code == 403


async def test_errors_count_an_endpoint_apart_and_fade_after_an_hour():
    async with exact(minute_limit=1000, token_seconds=100_000) as client:
        for _ in range(10):
            await client.get(UNKNOWN)
            await client.get("crm/Contacts(guid'00000000-0000-0000-0000-000000000001')")
        client.clock.forward(3600)
        await client.get(UNKNOWN)
        assert (await client.get("crm/Accounts")).status_code == 200


async def test_the_status_and_reach_of_a_block_are_switches():
    async with exact(minute_limit=1000, error_limit=0, error_block_status=429, error_block_scope="endpoint") as client:
        await client.get(UNKNOWN)
        assert (await client.get("crm/Accounts")).status_code == 429
        assert (await client.get("crm/Contacts")).status_code == 200


async def test_a_business_refusal_is_no_counted_error():
    async with exact(minute_limit=1000, error_limit=0) as client:
        for _ in range(3):
            assert (await client.post("crm/Accounts", {})).status_code == 500
        assert (await client.calls())["errors_counted"] == 0


async def test_windows_and_calls_are_reported():
    async with exact() as client:
        await client.get("crm/Accounts")
        await client.post("crm/Accounts", {"Name": "Bakker"})
        client.clock.forward(60)
        await client.get("crm/Accounts")
        calls = await client.calls()
        assert calls["by_endpoint"] == {"GET crm/Accounts": 2, "POST crm/Accounts": 1}
        assert (calls["total"], calls["division_calls"], calls["writes"]) == (3, 3, 1)
        assert [(window["used"], window["limit"]) for window in calls["per_window"]] == [(2, 60), (1, 60)]
        assert calls["per_window"][0]["start"] == int(START_SECONDS) * 1000


async def test_limits_change_while_running():
    async with exact() as client:
        answer = await client.control("limits", minute_limit=1, minute_seconds=2)
        assert answer.json()["minute_limit"] == 1
        await client.get("crm/Accounts")
        assert (await client.get("crm/Accounts")).status_code == 429
        assert (await client.control("limits", hour_limit=1)).status_code == 422


async def test_questions_are_told_apart_by_key_and_by_what_they_filter_by():
    async with exact() as client:
        made = await client.post("crm/Accounts", {"Name": "Bakker"})
        key = made.json()["d"]["ID"]
        await client.get(f"crm/Accounts(guid'{key}')")
        await client.get("crm/Accounts", filter=f"ID eq guid'{key}' and substringof('eq or Code',Name) eq true", select="ID,Code")
        await client.get("crm/Accounts", filter="Name eq 'd''Or (Status)'")
        await client.get("sync/CRM/Accounts", filter="Timestamp gt 1L")
        assert (await client.calls())["by_question"] == {
            "POST crm/Accounts": 1,
            "GET crm/Accounts(key)": 1,
            "GET crm/Accounts?ID,Name": 1,
            "GET crm/Accounts?Name": 1,
            "GET sync/CRM/Accounts?Timestamp": 1,
        }
