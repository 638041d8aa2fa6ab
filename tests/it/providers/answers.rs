//! What the providers' documentation says: what they are asked, and what their answers mean.

use api_keys::domain::KeyStatus;
use serde_json::{Value, json};

/// What each provider is asked: method, path, and the header that carries the key.
pub(super) const REQUESTS: &[(&str, &str, &str)] = &[
    ("anthropic", "GET /v1/models", "x-api-key: KEY"),
    ("openai", "GET /v1/models", "authorization: Bearer KEY"),
    ("google", "GET /v1beta/models", "x-goog-api-key: KEY"),
    ("mistral", "GET /v1/models", "authorization: Bearer KEY"),
    ("groq", "GET /openai/v1/models", "authorization: Bearer KEY"),
    ("deepseek", "GET /models", "authorization: Bearer KEY"),
    ("xai", "GET /v1/api-key", "authorization: Bearer KEY"),
    ("openrouter", "GET /api/v1/key", "authorization: Bearer KEY"),
    ("cohere", "POST /v1/check-api-key", "authorization: Bearer KEY"),
    ("together", "GET /v1/models", "authorization: Bearer KEY"),
    ("fireworks", "GET /inference/v1/models", "authorization: Bearer KEY"),
    ("perplexity", "POST /chat/completions", "authorization: Bearer KEY"),
    (
        "azure-openai",
        "GET /openai/deployments?api-version=2023-03-15-preview",
        "api-key: KEY",
    ),
    ("voyage", "POST /v1/embeddings", "authorization: Bearer KEY"),
    ("huggingface", "GET /api/whoami-v2", "authorization: Bearer KEY"),
    ("replicate", "GET /v1/account", "authorization: Bearer KEY"),
    ("cerebras", "GET /v1/models", "authorization: Bearer KEY"),
    ("moonshot", "GET /v1/models", "authorization: Bearer KEY"),
    ("zai", "POST /api/paas/v4/tokenizer", "authorization: Bearer KEY"),
    ("minimax", "GET /v1/models", "authorization: Bearer KEY"),
    ("vercel", "GET /v1/credits", "authorization: Bearer KEY"),
    ("elevenlabs", "GET /v1/user", "xi-api-key: KEY"),
];

/// What one answer of one provider means.
pub(super) struct Row {
    pub(super) provider: &'static str,
    pub(super) http_status: u16,
    pub(super) body: Value,
    pub(super) means: KeyStatus,
    pub(super) missing: &'static [&'static str],
}

/// The answers of the table of providers, one row each.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    use KeyStatus::{Expired, Forbidden, Invalid, NoCredit, RateLimited, Unreachable, Valid};
    let mut rows = Vec::new();
    let mut row = |provider, http_status, body, means| {
        rows.push(Row {
            provider,
            http_status,
            body,
            means,
            missing: &[],
        });
    };

    let models = || json!({"object": "list", "data": [{"id": "model-1"}]});
    let openai = |code: &str, message: &str| json!({"error": {"message": message, "type": "invalid_request_error", "code": code}});
    let anthropic = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    row("anthropic", 200, json!({"data": [], "has_more": false}), Valid);
    row(
        "anthropic",
        401,
        anthropic("authentication_error", "invalid x-api-key"),
        Invalid,
    );
    row(
        "anthropic",
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits.",
        ),
        NoCredit,
    );
    row(
        "anthropic",
        400,
        anthropic("invalid_request_error", "unexpected"),
        Unreachable,
    );
    row("anthropic", 402, anthropic("billing_error", "no credit"), NoCredit);
    row(
        "anthropic",
        403,
        anthropic("permission_error", "not allowed"),
        Forbidden,
    );
    row(
        "anthropic",
        403,
        anthropic("forbidden", "Request not allowed"),
        Unreachable,
    );
    row(
        "anthropic",
        400,
        anthropic(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
        ),
        NoCredit,
    );
    row("anthropic", 404, anthropic("not_found_error", "nothing"), Unreachable);
    row(
        "anthropic",
        429,
        anthropic("rate_limit_error", "slow down"),
        RateLimited,
    );
    row(
        "anthropic",
        529,
        anthropic("overloaded_error", "overloaded"),
        Unreachable,
    );

    row("openai", 200, models(), Valid);
    row(
        "openai",
        401,
        openai("invalid_api_key", "Incorrect API key provided: sk-abc."),
        Invalid,
    );
    row(
        "openai",
        401,
        json!({"error": {"message": "Incorrect API key provided"}}),
        Invalid,
    );
    row(
        "openai",
        401,
        openai("ip_not_authorized", "Your IP address is not authorized."),
        Forbidden,
    );
    row(
        "openai",
        401,
        openai("invalid_organization", "No such organization: org-x."),
        Forbidden,
    );
    row(
        "openai",
        401,
        json!({"error": {"message": "You must be a member of an organization to use the API"}}),
        Forbidden,
    );
    row(
        "openai",
        403,
        openai("unsupported_country_region_territory", "Country not supported"),
        Unreachable,
    );
    row(
        "openai",
        429,
        openai("insufficient_quota", "You exceeded your current quota"),
        NoCredit,
    );
    row(
        "openai",
        429,
        openai("rate_limit_exceeded", "Rate limit reached"),
        RateLimited,
    );
    row(
        "openai",
        500,
        openai("server_error", "The server had an error"),
        Unreachable,
    );
    row("openai", 503, json!({}), Unreachable);

    let google = |code: u16, status: &str, reason: &str, message: &str| {
        json!({"error": {"code": code, "message": message, "status": status, "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}]}})
    };
    row("google", 200, json!({"models": []}), Valid);
    row(
        "google",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "API_KEY_INVALID",
            "API key not valid. Please pass a valid API key.",
        ),
        Invalid,
    );
    row(
        "google",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "API_KEY_INVALID",
            "API key expired. Please renew the API key.",
        ),
        Expired,
    );
    row(
        "google",
        400,
        google(
            400,
            "FAILED_PRECONDITION",
            "X",
            "User location is not supported for the API use.",
        ),
        Unreachable,
    );
    row(
        "google",
        401,
        google(
            401,
            "UNAUTHENTICATED",
            "ACCESS_TOKEN_TYPE_UNSUPPORTED",
            "Expected OAuth 2 access token",
        ),
        Unreachable,
    );
    for reason in [
        "API_KEY_SERVICE_BLOCKED",
        "API_KEY_HTTP_REFERRER_BLOCKED",
        "API_KEY_IP_ADDRESS_BLOCKED",
        "API_KEY_IOS_APP_BLOCKED",
        "API_KEY_ANDROID_APP_BLOCKED",
    ] {
        row(
            "google",
            403,
            google(403, "PERMISSION_DENIED", reason, "blocked"),
            Forbidden,
        );
    }
    row(
        "google",
        403,
        google(403, "PERMISSION_DENIED", "X", "Your API key was reported as leaked."),
        Forbidden,
    );
    row(
        "google",
        429,
        google(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "Quota exceeded"),
        RateLimited,
    );

    row(
        "google",
        403,
        google(
            403,
            "PERMISSION_DENIED",
            "BILLING_DISABLED",
            "This API method requires billing to be enabled.",
        ),
        NoCredit,
    );

    row("local", 200, json!({"version": "0.12.0"}), Valid);
    row("local", 500, json!({"error": "no"}), Unreachable);

    row("mistral", 200, models(), Valid);
    row("mistral", 401, json!({"message": "Unauthorized"}), Invalid);
    row("mistral", 402, json!({"message": "Payment required"}), NoCredit);
    row("mistral", 403, json!({"message": "Forbidden"}), Forbidden);

    row("groq", 200, models(), Valid);
    row("groq", 401, openai("invalid_api_key", "Invalid API Key"), Invalid);
    row(
        "groq",
        403,
        openai(
            "permissions_error",
            "Access denied. Please check your network settings.",
        ),
        Unreachable,
    );

    row("deepseek", 200, models(), Valid);
    row(
        "deepseek",
        401,
        json!({"error": {"message": "Authentication Fails"}}),
        Invalid,
    );
    row(
        "deepseek",
        402,
        json!({"error": {"message": "Insufficient Balance"}}),
        NoCredit,
    );
    row(
        "deepseek",
        429,
        json!({"error": {"message": "Rate Limit Reached"}}),
        RateLimited,
    );
    row(
        "deepseek",
        503,
        json!({"error": {"message": "Server Overloaded"}}),
        Unreachable,
    );

    let xai = |disabled: bool, key_blocked: bool, team_blocked: bool| {
        json!({"redacted_api_key": "xai-...b14o", "name": "my key", "team_id": "team-1", "user_id": "user-1",
            "acls": ["api-key:model:*"], "api_key_disabled": disabled, "api_key_blocked": key_blocked, "team_blocked": team_blocked})
    };
    row("xai", 200, xai(false, false, false), Valid);
    row("xai", 200, xai(true, false, false), Forbidden);
    row("xai", 200, xai(false, true, false), Forbidden);
    row("xai", 200, xai(false, false, true), Forbidden);
    row(
        "xai",
        400,
        json!({"code": "Client specified an invalid argument", "error": "Incorrect API key provided"}),
        Invalid,
    );
    row(
        "xai",
        400,
        json!({"code": "Client specified an invalid argument", "error": "Failed to deserialize the JSON body"}),
        Unreachable,
    );
    row(
        "xai",
        400,
        json!({"error": "The API key is currently blocked"}),
        Forbidden,
    );
    row(
        "xai",
        403,
        json!({"error": "Your newly created team doesn't have any credits yet."}),
        NoCredit,
    );
    row("xai", 401, json!({"error": "Unauthorized"}), Invalid);
    row("xai", 403, json!({"error": "Forbidden"}), Forbidden);

    let openrouter = |extra: Value| {
        let mut data = json!({"label": "sk-or-v1-abc...123", "limit": 10.0, "usage": 1.0, "limit_remaining": 9.0, "is_free_tier": false, "creator_user_id": "user_1"});
        for (name, value) in extra.as_object().expect("an object") {
            data[name] = value.clone();
        }
        json!({"data": data})
    };
    row("openrouter", 200, openrouter(json!({})), Valid);
    row(
        "openrouter",
        200,
        openrouter(json!({"limit": null, "limit_remaining": null})),
        Valid,
    );
    row("openrouter", 200, openrouter(json!({"limit_remaining": 0})), NoCredit);
    row(
        "openrouter",
        200,
        openrouter(json!({"is_management_key": true})),
        Forbidden,
    );
    row(
        "openrouter",
        401,
        json!({"error": {"code": 401, "message": "User not found."}}),
        Invalid,
    );
    row(
        "openrouter",
        402,
        json!({"error": {"code": 402, "message": "Insufficient credits"}}),
        NoCredit,
    );

    row(
        "cohere",
        200,
        json!({"valid": true, "organization_id": "org-1", "owner_id": "owner-1"}),
        Valid,
    );
    row("cohere", 200, json!({"valid": false}), Invalid);
    row("cohere", 200, json!({}), Unreachable);
    row("cohere", 401, json!({"message": "invalid api token"}), Invalid);

    row("together", 200, json!([{"id": "model-1"}]), Valid);
    row(
        "together",
        401,
        openai("invalid_api_key", "Invalid API key provided"),
        Invalid,
    );
    row("together", 403, json!({"error": {"message": "forbidden"}}), Unreachable);

    row("fireworks", 200, models(), Valid);
    row("fireworks", 401, json!({"error": "unauthorized"}), Invalid);
    row("fireworks", 403, json!({"error": "forbidden"}), Forbidden);

    row(
        "perplexity",
        400,
        json!({"error": {"message": "Invalid model 'no-such-model'", "type": "invalid_model", "code": 400}}),
        Valid,
    );
    row("perplexity", 404, json!({"error": {"message": "no such model"}}), Valid);
    row("perplexity", 422, json!({"detail": []}), Valid);
    row(
        "perplexity",
        401,
        json!({"error": {"message": "Invalid API key provided", "type": "invalid_api_key", "code": 401}}),
        Invalid,
    );
    row(
        "perplexity",
        403,
        json!({"error": {"message": "forbidden"}}),
        Unreachable,
    );
    row("perplexity", 200, json!({"choices": []}), Unreachable);

    row("azure-openai", 200, json!({"data": [], "object": "list"}), Valid);
    row(
        "azure-openai",
        401,
        json!({"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint."}}),
        Invalid,
    );
    row(
        "azure-openai",
        404,
        json!({"error": {"code": "404", "message": "Resource not found"}}),
        Unreachable,
    );

    row(
        "voyage",
        400,
        json!({"detail": "Model no-such-model is not supported."}),
        Valid,
    );
    row("voyage", 403, json!({"detail": "Forbidden"}), Valid);
    row(
        "voyage",
        401,
        json!({"detail": "Provided API key is invalid."}),
        Invalid,
    );
    row(
        "voyage",
        400,
        json!({"detail": "Provided API key is invalid."}),
        Invalid,
    );
    row("voyage", 429, json!({"detail": "slow down"}), RateLimited);

    row(
        "huggingface",
        200,
        json!({"type": "user", "id": "5f0c", "name": "someone", "auth": {"accessToken": {"displayName": "t", "role": "read"}}}),
        Valid,
    );
    row(
        "huggingface",
        401,
        json!({"error": "Invalid credentials in Authorization header"}),
        Invalid,
    );
    row(
        "huggingface",
        401,
        json!({"error": "User Access Token \"t\" is expired"}),
        Expired,
    );

    row(
        "replicate",
        200,
        json!({"type": "user", "username": "someone", "name": "Some One"}),
        Valid,
    );
    row(
        "replicate",
        401,
        json!({"title": "Unauthenticated", "detail": "You did not pass a valid authentication token", "status": 401}),
        Invalid,
    );

    row("cerebras", 200, models(), Valid);
    row(
        "cerebras",
        401,
        json!({"message": "Wrong API Key", "type": "invalid_request_error", "code": "wrong_api_key"}),
        Invalid,
    );
    row("cerebras", 403, json!({"message": "forbidden"}), Unreachable);

    row("moonshot", 200, models(), Valid);
    row(
        "moonshot",
        401,
        json!({"error": {"message": "Invalid Authentication", "type": "invalid_authentication_error"}}),
        Invalid,
    );
    row("moonshot", 403, json!({"error": {"message": "forbidden"}}), Unreachable);

    row("zai", 200, json!({"usage": {"prompt_tokens": 1}}), Valid);
    row(
        "zai",
        401,
        json!({"error": {"code": "1000", "message": "Authentication Failed"}}),
        Invalid,
    );
    row(
        "zai",
        429,
        json!({"error": {"code": "1113", "message": "Insufficient balance or no resource package. Please recharge."}}),
        NoCredit,
    );
    row(
        "zai",
        429,
        json!({"error": {"code": "1302", "message": "High concurrency usage"}}),
        RateLimited,
    );

    row("minimax", 200, models(), Valid);
    for (code, means) in [
        (0, Valid),
        (1004, Invalid),
        (2049, Invalid),
        (1008, NoCredit),
        (1002, RateLimited),
        (1000, Unreachable),
    ] {
        row(
            "minimax",
            200,
            json!({"base_resp": {"status_code": code, "status_msg": "text"}}),
            means,
        );
    }
    row("minimax", 401, json!({"error": "unauthorized"}), Invalid);
    row("minimax", 403, json!({"error": "forbidden"}), Unreachable);

    row("vercel", 200, json!({"balance": "95.50", "total_used": "4.50"}), Valid);
    row(
        "vercel",
        401,
        json!({"error": {"message": "Invalid API key", "type": "authentication_error"}}),
        Invalid,
    );
    row("vercel", 403, json!({"error": {"message": "forbidden"}}), Unreachable);

    row(
        "elevenlabs",
        200,
        json!({"user_id": "u1", "subscription": {"tier": "free"}}),
        Valid,
    );
    row(
        "elevenlabs",
        401,
        json!({"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}),
        Invalid,
    );
    row("elevenlabs", 403, json!({"detail": "forbidden"}), Unreachable);

    let mut restricted = |provider, http_status, body, missing| {
        rows.push(Row {
            provider,
            http_status,
            body,
            means: Valid,
            missing,
        });
    };
    for http_status in [401, 403] {
        let message = "You have insufficient permissions for this operation. Missing scopes: api.model.read, api.other:write. Check that you have the correct role.";
        restricted(
            "openai",
            http_status,
            openai("missing_scope", message),
            &["api.model.read", "api.other:write"],
        );
    }
    restricted(
        "elevenlabs",
        401,
        json!({"detail": {"status": "missing_permissions", "message": "The API key you used is missing the permission user_read to execute this operation."}}),
        &["user_read"],
    );
    rows
}
