use serde_json::json;

use super::{RefusalKind::*, *};
use crate::providers::RetryWith;

fn provider(id: &str) -> Provider {
    let id = id.parse().expect("a name");
    Provider::built_in(&id).unwrap_or_else(|| Provider::own(id))
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().expect("a time")
}

fn refusal(id: &str, status: u16, body: &str) -> Option<Refused> {
    read_refusal(&provider(id), status, body.as_bytes(), now())
}

#[track_caller]
fn kind(id: &str, status: u16, body: &Value) -> RefusalKind {
    refusal(id, status, &body.to_string()).expect("a refusal").kind
}

/// An error in OpenAI's form.
fn openai(message: &str, kind: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
}

fn google(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

#[test]
fn a_status_is_believed_where_the_body_says_no_more() {
    for (status, expected) in [
        (400, RequestFault),
        (401, KeyRefused),
        (402, NoCredit),
        (403, NotAllowed),
        (404, RequestFault),
        (408, ServerFailed),
        (413, RequestFault),
        (422, RequestFault),
        (429, RateLimited),
        (451, RegionBlocked),
        (500, ServerFailed),
        (529, ServerFailed),
    ] {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "7",
            "\"no\"",
            "<html>no</html>",
            "{\"error\":",
            "\u{0}",
        ] {
            let refused = refusal("my-vllm", status, body).expect("a refusal");
            assert_eq!((refused.kind, refused.retry_after), (expected, None), "{status} {body}");
            let same = matches!(status, 400 | 404 | 413 | 422) || refused.status() == status;
            assert!(same, "{status} is recorded as {}", refused.status());
        }
    }
    assert_eq!(refusal("my-vllm", 200, "{\"choices\": []}"), None);
    assert_eq!(refusal("my-vllm", 200, ""), None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_empty_balance_is_known_whatever_the_status() {
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let team = "Your team 1c6f has either used all available credits or reached its monthly spending limit.";
    for (id, status, body) in [
        (
            "anthropic",
            400,
            anthropic(
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
            ),
        ),
        (
            "anthropic",
            400,
            anthropic("invalid_request_error", "This organization has been disabled."),
        ),
        (
            "anthropic",
            400,
            anthropic(
                "invalid_request_error",
                "You have reached your specified API usage limits.",
            ),
        ),
        (
            "anthropic",
            400,
            anthropic(
                "invalid_request_error",
                "You have reached your specified workspace API usage limits.",
            ),
        ),
        (
            "anthropic",
            402,
            anthropic("billing_error", "Check your payment details."),
        ),
        ("openai", 429, openai(quota, "insufficient_quota", "insufficient_quota")),
        (
            "openai",
            400,
            openai(
                "Billing hard limit has been reached",
                "invalid_request_error",
                "billing_hard_limit_reached",
            ),
        ),
        (
            "openai",
            429,
            openai("Your account is not active", "billing_not_active", "billing_not_active"),
        ),
        (
            "azure-openai",
            429,
            openai(quota, "insufficient_quota", "insufficient_quota"),
        ),
        (
            "perplexity",
            401,
            json!({"error": {"message": quota, "type": "insufficient_quota", "code": 401}}),
        ),
        (
            "deepseek",
            402,
            openai("Insufficient Balance", "unknown_error", "invalid_request_error"),
        ),
        (
            "deepseek",
            200,
            openai("Insufficient Balance", "unknown_error", "invalid_request_error"),
        ),
        (
            "zai",
            429,
            json!({"error": {"code": "1113", "message": "Insufficient balance or no resource package."}}),
        ),
        ("zai", 429, json!({"error": {"code": 1113, "message": "overdue"}})),
        ("zai", 200, json!({"code": 1113, "msg": "overdue", "success": false})),
        (
            "zai",
            429,
            json!({"error": {"code": "1309", "message": "Your GLM Coding Plan has expired"}}),
        ),
        (
            "moonshot",
            429,
            openai("Your account org-1 is suspended", "exceeded_current_quota_error", ""),
        ),
        ("moonshot", 403, openai("quota", "exceeded_current_quota_error", "")),
        (
            "minimax",
            200,
            json!({"choices": null, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        ),
        ("minimax", 500, anthropic("api_error", "insufficient balance (1008)")),
        (
            "minimax",
            429,
            json!({"error": {"http_code": "429", "message": "insufficient balance (1008)", "type": "insufficient_balance_error"}}),
        ),
        (
            "google",
            429,
            google(
                429,
                "RESOURCE_EXHAUSTED",
                "Your prepayment credits are depleted. Please go to AI Studio.",
            ),
        ),
        (
            "google",
            429,
            json!([google(
                429,
                "RESOURCE_EXHAUSTED",
                "Your prepayment credits are depleted."
            )]),
        ),
        (
            "google",
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                "Gemini API free tier is not available in your country.",
            ),
        ),
        (
            "google",
            403,
            json!({"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED"}]}}),
        ),
        (
            "xai",
            403,
            json!({"code": "The caller does not have permission", "error": team}),
        ),
        ("xai", 429, json!(team)),
        (
            "fireworks",
            412,
            openai(
                "Account me is suspended, possibly due to reaching the monthly spending limit",
                "error",
                "PRECONDITION_FAILED",
            ),
        ),
        (
            "groq",
            400,
            openai(
                "API access is blocked: the spend limit is reached",
                "invalid_request_error",
                "blocked_api_access",
            ),
        ),
        (
            "openrouter",
            402,
            json!({"error": {"code": 402, "message": "Insufficient credits", "metadata": {"limit_source": "openrouter_credits"}}}),
        ),
        (
            "openrouter",
            200,
            json!({"error": {"code": 402, "message": "Insufficient credits"}}),
        ),
        (
            "elevenlabs",
            401,
            json!({"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota."}}),
        ),
        ("together", 402, openai("Credit limit exceeded", "credit_limit", "")),
        ("mistral", 402, json!({"detail": "Payment required"})),
        (
            "my-gateway",
            403,
            json!({"code": "INSUFFICIENT_BALANCE", "message": "Insufficient account balance"}),
        ),
        ("my-gateway", 400, openai("Insufficient balance", "x", "y")),
    ] {
        assert_eq!(kind(id, status, &body), NoCredit, "{id} {status} {body}");
        let refused = refusal(id, status, &body.to_string()).expect("a refusal");
        assert_eq!((refused.status(), refused.kind.retry()), (402, RetryWith::AnotherKey));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_rate_limit_is_not_taken_for_an_empty_balance_and_says_how_long() {
    let quota = "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: \
                 generate_content_free_tier_requests, limit: 20\nPlease retry in 36.429760048s.";
    let with_delay = |delay: &str| {
        json!({"error": {"code": 429, "message": quota, "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]}})
    };
    for (id, status, body, milliseconds) in [
        ("google", 429, with_delay("36s"), Some(36_000)),
        ("google", 429, json!([with_delay("3.5s")]), Some(3_500)),
        ("google", 429, google(429, "RESOURCE_EXHAUSTED", quota), Some(36_429)),
        (
            "google",
            200,
            google(
                429,
                "RESOURCE_EXHAUSTED",
                "Resource has been exhausted (e.g. check quota).",
            ),
            None,
        ),
        (
            "openai",
            429,
            openai(
                "Rate limit reached for gpt-5. Please try again in 120ms. Visit",
                "tokens",
                "rate_limit_exceeded",
            ),
            Some(120),
        ),
        (
            "openai",
            200,
            json!({"type": "response.failed", "response": {"status": "failed", "error":
            {"code": "rate_limit_exceeded", "message": "Please try again in 1.898s. Visit x"}}}),
            Some(1_898),
        ),
        (
            "groq",
            429,
            openai(
                "Rate limit reached. Please try again in 6m0.5s.",
                "tokens",
                "rate_limit_exceeded",
            ),
            Some(360_500),
        ),
        ("anthropic", 200, anthropic("rate_limit_error", "Slow down"), None),
        (
            "openrouter",
            200,
            json!({"error": {"code": 429, "message": "Provider returned error",
            "metadata": {"raw": "no", "headers": {"X-RateLimit-Reset": "1795953642000"}}}}),
            Some(42_000),
        ),
        (
            "openrouter",
            402,
            json!({"error": {"code": 402, "message": "x", "metadata": {"limit_source": "openrouter_in_flight_budget"}}}),
            None,
        ),
        (
            "openrouter",
            429,
            json!({"error": {"code": 429, "message": "x", "metadata": {"retry_after_seconds": 7}}}),
            Some(7_000),
        ),
        (
            "minimax",
            200,
            json!({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
            None,
        ),
        (
            "zai",
            429,
            json!({"error": {"code": "1302", "message": "High concurrency"}}),
            None,
        ),
        (
            "moonshot",
            429,
            openai("max RPM: 3", "rate_limit_reached_error", ""),
            None,
        ),
        (
            "my-vllm",
            429,
            json!({"detail": "slow down", "retry_after": "2.5"}),
            Some(2_500),
        ),
    ] {
        let refused = refusal(id, status, &body.to_string()).expect("a refusal");
        assert_eq!(refused.kind, RateLimited, "{id} {body}");
        assert_eq!(
            refused.retry_after.map(|wait| wait.as_millis()),
            milliseconds,
            "{id} {body}"
        );
        assert_eq!(refused.status(), 429);
    }
}

#[test]
fn waits_that_cannot_be_true_are_not_believed() {
    let wait = |error: Value| rate_limits::retry_after_in(&json!({"error": error}), now()).map(|wait| wait.as_secs());
    for delay in [
        json!("-3s"),
        json!("soon"),
        json!(""),
        json!(null),
        json!({"seconds": 3}),
        json!("1e99s"),
    ] {
        let info = json!({"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]});
        assert_eq!(wait(info), None, "{delay}");
    }
    for after in [json!(-1), json!(null), json!([1]), json!("x"), json!(1e300)] {
        assert_eq!(wait(json!({"retry_after": after})), None, "{after}");
    }
    assert_eq!(
        wait(json!({"retry_after": 1_000_000_000_000_u64})).unwrap_or(86_400),
        86_400,
        "a day at most"
    );
    let past = json!({"metadata": {"headers": {"X-RateLimit-Reset": 1_000}}});
    assert_eq!(wait(past), None, "a reset that has passed");
    assert_eq!(wait(json!({"message": "try again in "})), None);
    assert_eq!(rate_limits::retry_after_in(&json!([]), now()), None);
}

#[test]
fn a_region_block_says_nothing_about_the_key() {
    for (id, status, body) in [
        (
            "openai",
            403,
            openai(
                "Country, region, or territory not supported",
                "request_forbidden",
                "unsupported_country_region_territory",
            ),
        ),
        (
            "anthropic",
            403,
            json!({"error": {"type": "forbidden", "message": "Request not allowed"}}),
        ),
        (
            "google",
            400,
            google(
                400,
                "FAILED_PRECONDITION",
                "User location is not supported for the API use.",
            ),
        ),
        (
            "google",
            400,
            json!([google(
                400,
                "FAILED_PRECONDITION",
                "User location is not supported for the API use."
            )]),
        ),
        (
            "groq",
            403,
            json!({"error": {"message": "Access denied. Please check your network settings."}}),
        ),
        ("my-vllm", 451, json!({})),
    ] {
        let refused = refusal(id, status, &body.to_string()).expect("a refusal");
        assert_eq!((refused.kind, refused.status()), (RegionBlocked, 451), "{id} {body}");
        assert_eq!(refused.kind.retry(), RetryWith::AnotherProvider);
    }
    assert_eq!(
        refusal("openai", 403, "error code: 1009").map(|it| it.kind),
        Some(RegionBlocked)
    );
    assert_eq!(
        kind("anthropic", 403, &anthropic("permission_error", "Your key may not")),
        NotAllowed
    );
}

#[test]
fn a_refused_key_is_told_from_one_that_may_not_do_this() {
    for (id, status, body, expected) in [
        (
            "openai",
            401,
            openai("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
            KeyRefused,
        ),
        (
            "openai",
            401,
            openai(
                "You have insufficient permissions for this operation. Missing scopes: model.request.",
                "x",
                "y",
            ),
            NotAllowed,
        ),
        (
            "google",
            400,
            google(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
            ),
            KeyRefused,
        ),
        (
            "google",
            403,
            google(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
            KeyRefused,
        ),
        (
            "xai",
            400,
            json!({"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***."}),
            KeyRefused,
        ),
        (
            "minimax",
            200,
            json!({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}),
            KeyRefused,
        ),
        (
            "voyage",
            400,
            json!({"detail": "Provided API key is invalid."}),
            KeyRefused,
        ),
        (
            "zai",
            200,
            json!({"code": 401, "msg": "token expired or incorrect", "success": false}),
            KeyRefused,
        ),
        (
            "anthropic",
            200,
            anthropic("authentication_error", "invalid x-api-key"),
            KeyRefused,
        ),
        (
            "openrouter",
            403,
            json!({"error": {"code": 403, "message": "no", "metadata": {"flagged_input": "x"}}}),
            RequestFault,
        ),
    ] {
        assert_eq!(kind(id, status, &body), expected, "{id} {status} {body}");
    }
}

#[test]
fn a_missing_model_is_told_from_a_missing_path() {
    for (id, status, body) in [
        (
            "openai",
            404,
            openai(
                "The model `x` does not exist",
                "invalid_request_error",
                "model_not_found",
            ),
        ),
        ("anthropic", 404, anthropic("not_found_error", "model: claude-x")),
        (
            "google",
            404,
            google(404, "NOT_FOUND", "models/x is not found for API version v1beta"),
        ),
        (
            "groq",
            400,
            openai(
                "The model has been decommissioned",
                "invalid_request_error",
                "model_decommissioned",
            ),
        ),
        ("local", 404, json!({"error": "model 'x' not found"})),
        (
            "openrouter",
            404,
            json!({"error": {"code": 404, "message": "No endpoints found for x/y."}}),
        ),
        (
            "deepseek",
            400,
            openai("Model Not Exist", "invalid_request_error", "invalid_request_error"),
        ),
        (
            "mistral",
            400,
            json!({"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}),
        ),
        (
            "zai",
            400,
            json!({"error": {"code": "1211", "message": "Unknown Model"}}),
        ),
    ] {
        let refused = refusal(id, status, &body.to_string()).expect("a refusal");
        assert_eq!((refused.kind, refused.status()), (ModelMissing, 404), "{id} {body}");
    }
    assert_eq!(
        kind(
            "openai",
            404,
            &openai("Invalid URL (POST /v1/x)", "invalid_request_error", "")
        ),
        RequestFault
    );
    assert_eq!(
        kind("anthropic", 404, &anthropic("not_found_error", "No such file")),
        RequestFault
    );
}

#[test]
fn errors_inside_a_200_are_refusals() {
    for (id, body, expected, status) in [
        (
            "anthropic",
            anthropic("overloaded_error", "Overloaded"),
            ServerFailed,
            502,
        ),
        (
            "anthropic",
            anthropic("invalid_request_error", "prompt is too long"),
            RequestFault,
            400,
        ),
        (
            "openrouter",
            json!({"id": "x", "error": {"code": "server_error", "message": "Provider disconnected"},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}),
            ServerFailed,
            502,
        ),
        (
            "openrouter",
            json!({"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "x"}}]}),
            ServerFailed,
            503,
        ),
        (
            "mistral",
            json!({"choices": [{"finish_reason": "error", "message": {"content": ""}}]}),
            ServerFailed,
            502,
        ),
        (
            "zai",
            json!({"choices": [{"finish_reason": "network_error"}]}),
            ServerFailed,
            502,
        ),
        (
            "cohere",
            json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "x"}}),
            ServerFailed,
            502,
        ),
        ("groq", json!({"x_groq": {"error": "over_capacity"}}), ServerFailed, 502),
        (
            "openai",
            json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}}),
            ServerFailed,
            502,
        ),
        ("google", google(400, "INVALID_ARGUMENT", "x"), RequestFault, 400),
        (
            "local",
            json!({"error": "llama runner process has terminated"}),
            ServerFailed,
            502,
        ),
        (
            "minimax",
            json!({"base_resp": {"status_code": 1013, "status_msg": "unknown"}}),
            ServerFailed,
            502,
        ),
        (
            "minimax",
            json!({"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}),
            RequestFault,
            400,
        ),
    ] {
        let refused = refusal(id, 200, &body.to_string()).expect("a refusal");
        assert_eq!((refused.kind, refused.status()), (expected, status), "{id} {body}");
        let framed = format!("data: {body}\n\n");
        assert_eq!(
            refusal(id, 200, &framed).map(|it| it.kind),
            Some(expected),
            "as an event: {body}"
        );
    }
    for body in [
        json!({"error": null, "choices": []}),
        json!({"error": "", "choices": []}),
        json!({"error": {}, "choices": []}),
        json!({"error": false, "choices": []}),
        json!({"choices": [{"finish_reason": "stop", "error": null}]}),
        json!({"choices": [], "base_resp": {"status_code": 0, "status_msg": ""}}),
        json!({"message": "hello", "code": 7, "type": "message"}),
        json!({"success": true}),
    ] {
        assert_eq!(refusal("minimax", 200, &body.to_string()), None, "{body}");
    }
}

#[test]
fn words_of_the_request_in_an_error_say_nothing_about_the_key() {
    for quoted in [
        "Your credit balance is too low to access the Anthropic API",
        "Insufficient balance",
        "This organization has been disabled",
        "User location is not supported for the API use.",
        "insufficient_quota",
    ] {
        for id in ["anthropic", "openai", "google", "deepseek", "zai", "minimax", "my-vllm"] {
            let body = openai(
                &format!("Invalid value: '{quoted}'"),
                "invalid_request_error",
                "invalid_value",
            );
            assert_eq!(kind(id, 400, &body), RequestFault, "{id}: {quoted}");
        }
    }
}

#[test]
fn the_rules_are_written_so_that_they_can_match() {
    let own = crate::providers::PROVIDERS.iter().flat_map(|def| def.refusals);
    for rule in own.chain(SHARED).chain(WITHOUT_STATUS) {
        match rule.said {
            ErrorPattern::Code(code) => assert!(!code.is_empty()),
            ErrorPattern::Message(parts) => {
                assert!(
                    parts.first().is_some_and(|first| first.len() > 7),
                    "{parts:?} begins like too much"
                );
                assert!(parts.iter().all(|part| **part == part.to_lowercase()), "{parts:?}");
            }
        }
    }
}
