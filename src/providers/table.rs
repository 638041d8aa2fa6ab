//! The providers that are built in: one row each.
//!
//! Addresses, headers and prefixes as of November 2026, from the providers' documentation, their
//! own SDKs and the rule sets of secret scanners. A row without a check is a provider of which no
//! way is known to try a key without paying for it, or whose list of models is public.

use super::{
    declaration::{Auth, Check, KeyUse, ProviderDef, Wire},
    model_list::ModelList,
    readings,
    refusal::{
        RefusalKind::{
            KeyRefused, ModelMissing, NoCredit, NotAllowed, RateLimited, RegionBlocked, RequestFault, ServerFailed,
        },
        code, message,
    },
    windows::Detail,
};

/// A chat request that no provider can serve, and therefore bill.
const NO_SUCH_CHAT_MODEL: &str =
    r#"{"model":"no-such-model","messages":[{"role":"user","content":"x"}],"max_tokens":1}"#;
/// An embedding request that no provider can serve, and therefore bill.
const NO_SUCH_EMBEDDING_MODEL: &str = r#"{"model":"no-such-model","input":["x"]}"#;
/// Counts the tokens of one letter, which uses none.
const TOKENIZE: &str = r#"{"model":"glm-4.6","messages":[{"role":"user","content":"x"}]}"#;

/// OpenAI's API, or its Responses, at `path` below the base URL.
const fn openai(path: &'static str) -> Wire {
    bearer("", path)
}

/// Anthropic's API at `path` below the base URL, with the key in Anthropic's own header.
const fn anthropic(path: &'static str) -> Wire {
    Wire {
        auth: Auth::Header("x-api-key"),
        ..bearer("", path)
    }
}

/// An API at `path` in the place of `instead_of` at the base URL's end.
const fn bearer(instead_of: &'static str, path: &'static str) -> Wire {
    Wire {
        path,
        instead_of,
        auth: Auth::Bearer,
    }
}

/// What most rows have in common.
const COMMON: ProviderDef = ProviderDef {
    id: "",
    title: "",
    env_vars: &[],
    base_url: None,
    sites: &[],
    key: KeyUse::Required,
    auth: Auth::Bearer,
    openai: Some(openai("")),
    responses: None,
    anthropic: None,
    usage_on_request: true,
    unmetered: None,
    states_cost: false,
    flex_at_standard_rates: false,
    prefixes: &[],
    model_prefixes: &[],
    console: "",
    account_header: None,
    models: None,
    check: None,
    read: readings::usual,
    refusals: &[],
};

/// Every built-in provider, in the order in which people read them.
pub static PROVIDERS: &[ProviderDef] = &[
    ProviderDef {
        id: "anthropic",
        title: "Anthropic",
        env_vars: &["ANTHROPIC_API_KEY"],
        base_url: Some("https://api.anthropic.com"),
        auth: Auth::Header("x-api-key"),
        prefixes: &["sk-ant-api03-", "sk-ant-"],
        openai: Some(openai("/v1")),
        anthropic: Some(anthropic("/v1")),
        console: "https://platform.claude.com/settings/keys",
        account_header: Some("anthropic-organization-id"),
        check: Some(Check {
            headers: &[("anthropic-version", "2023-06-01")],
            ..Check::get(&["/v1/models"])
        }),
        read: readings::anthropic,
        refusals: &[
            message(&["your credit balance is too low"], NoCredit),
            message(&["this organization has been disabled"], NoCredit),
            message(&["you have reached your specified", "usage limits"], NoCredit),
            // Another type than the `permission_error` of a key without rights.
            code("forbidden", RegionBlocked),
        ],
        model_prefixes: &["claude-"],
        ..COMMON
    },
    ProviderDef {
        id: "openai",
        title: "OpenAI",
        env_vars: &["OPENAI_API_KEY"],
        base_url: Some("https://api.openai.com/v1"),
        prefixes: &["sk-svcacct-", "sk-service-", "sk-proj-", "sk-"],
        console: "https://platform.openai.com/api-keys",
        account_header: Some("openai-organization"),
        check: Some(Check::get(&["/models"])),
        read: readings::openai,
        refusals: &[
            message(&["you have insufficient permissions for this operation"], NotAllowed),
            code("ip_not_authorized", NotAllowed),
        ],
        responses: Some(openai("")),
        model_prefixes: &[
            "gpt-",
            "chatgpt-",
            "codex-",
            "o1",
            "o3",
            "o4",
            "text-embedding-",
            "omni-moderation",
            "whisper-",
            "tts-",
            "sora-",
            "dall-e-",
        ],
        ..COMMON
    },
    ProviderDef {
        id: "google",
        title: "Google Gemini",
        env_vars: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        base_url: Some("https://generativelanguage.googleapis.com"),
        auth: Auth::Header("x-goog-api-key"),
        prefixes: &["AIza", "AQ."],
        openai: Some(openai("/v1beta/openai")),
        console: "https://aistudio.google.com/apikey",
        check: Some(Check::get(&["/v1beta/models"])),
        read: readings::google,
        refusals: &[
            code("api_key_invalid", KeyRefused),
            message(&["api key not valid"], KeyRefused),
            message(&["your api key was reported as leaked"], KeyRefused),
            message(&["user location is not supported"], RegionBlocked),
            // The messages of rate limits mention plan and billing, too; only these are about money.
            message(&["your prepayment credits are depleted"], NoCredit),
            message(&["your project has exceeded its", "spending cap"], NoCredit),
            message(&["gemini api free tier is not available in your country"], NoCredit),
            message(&["this api method requires billing to be enabled"], NoCredit),
            code("billing_disabled", NoCredit),
            code("consumer_suspended", NoCredit),
        ],
        model_prefixes: &["gemini-"],
        ..COMMON
    },
    ProviderDef {
        id: "local",
        title: "Ollama",
        env_vars: &["OLLAMA_API_KEY"],
        base_url: Some("http://127.0.0.1:11434"),
        key: KeyUse::Optional,
        models: Some(ModelList {
            path: "/api/tags",
            items: "/models",
            name: "/name",
            family: "/details/family",
            detail: Detail::Show,
        }),
        openai: Some(openai("/v1")),
        check: Some(Check::get(&["/api/version", "/api/tags"])),
        read: readings::ollama,
        responses: Some(openai("/v1")),
        anthropic: Some(bearer("", "/v1")),
        ..COMMON
    },
    ProviderDef {
        id: "mistral",
        title: "Mistral",
        env_vars: &["MISTRAL_API_KEY"],
        base_url: Some("https://api.mistral.ai/v1"),
        usage_on_request: false,
        console: "https://console.mistral.ai/api-keys",
        check: Some(Check::get(&["/models"])),
        refusals: &[message(&["invalid model:"], ModelMissing)],
        model_prefixes: &["mistral-", "codestral-", "devstral-", "magistral-", "ministral-"],
        ..COMMON
    },
    ProviderDef {
        id: "groq",
        title: "Groq",
        env_vars: &["GROQ_API_KEY"],
        base_url: Some("https://api.groq.com/openai/v1"),
        prefixes: &["gsk_"],
        console: "https://console.groq.com/keys",
        check: Some(Check::get(&["/models"])),
        refusals: &[
            // The spending limit of the organization.
            code("blocked_api_access", NoCredit),
            message(&["access denied. please check your network settings"], RegionBlocked),
        ],
        flex_at_standard_rates: true,
        responses: Some(openai("")),
        ..COMMON
    },
    ProviderDef {
        id: "deepseek",
        title: "DeepSeek",
        env_vars: &["DEEPSEEK_API_KEY"],
        base_url: Some("https://api.deepseek.com"),
        prefixes: &["sk-"],
        anthropic: Some(anthropic("/anthropic/v1")),
        console: "https://platform.deepseek.com/api_keys",
        check: Some(Check::get(&["/models"])),
        refusals: &[
            message(&["insufficient balance"], NoCredit),
            message(&["model not exist"], ModelMissing),
        ],
        responses: Some(openai("")),
        model_prefixes: &["deepseek-"],
        ..COMMON
    },
    ProviderDef {
        id: "xai",
        title: "xAI",
        env_vars: &["XAI_API_KEY"],
        base_url: Some("https://api.x.ai/v1"),
        prefixes: &["xai-"],
        console: "https://console.x.ai",
        check: Some(Check::get(&["/api-key"])),
        read: readings::xai,
        refusals: &[
            message(&["incorrect api key"], KeyRefused),
            message(&["your team ", "used all available credits"], NoCredit),
            message(&["your newly created team"], NoCredit),
        ],
        states_cost: true,
        responses: Some(openai("")),
        model_prefixes: &["grok-"],
        ..COMMON
    },
    ProviderDef {
        id: "openrouter",
        title: "OpenRouter",
        env_vars: &["OPENROUTER_API_KEY"],
        base_url: Some("https://openrouter.ai/api/v1"),
        prefixes: &["sk-or-v1-"],
        console: "https://openrouter.ai/settings/keys",
        check: Some(Check::get(&["/key"])),
        read: readings::openrouter,
        refusals: &[
            // A 402 while other requests are under way.
            code("openrouter_in_flight_budget", RateLimited),
            message(&["this model is not available in your region"], RegionBlocked),
        ],
        states_cost: true,
        responses: Some(openai("")),
        anthropic: Some(bearer("", "")),
        ..COMMON
    },
    ProviderDef {
        id: "cohere",
        title: "Cohere",
        env_vars: &["CO_API_KEY", "COHERE_API_KEY"],
        base_url: Some("https://api.cohere.com"),
        openai: Some(openai("/compatibility/v1")),
        console: "https://dashboard.cohere.com/api-keys",
        check: Some(Check::post(&["/v1/check-api-key"], "{}")),
        read: readings::cohere,
        ..COMMON
    },
    ProviderDef {
        id: "together",
        title: "Together AI",
        env_vars: &["TOGETHER_API_KEY"],
        base_url: Some("https://api.together.xyz/v1"),
        prefixes: &["tgp_v1_"],
        console: "https://api.together.ai/settings/api-keys",
        check: Some(Check::get(&["/models"])),
        read: readings::vague_403,
        ..COMMON
    },
    ProviderDef {
        id: "fireworks",
        title: "Fireworks AI",
        env_vars: &["FIREWORKS_API_KEY"],
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        prefixes: &["fw_"],
        console: "https://app.fireworks.ai/settings/users/api-keys",
        check: Some(Check::get(&["/models"])),
        refusals: &[
            message(&["account ", " is suspended"], NoCredit),
            message(&["account ", "spending limit"], NoCredit),
        ],
        responses: Some(openai("")),
        anthropic: Some(bearer("", "")),
        ..COMMON
    },
    ProviderDef {
        id: "perplexity",
        title: "Perplexity",
        env_vars: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
        base_url: Some("https://api.perplexity.ai"),
        prefixes: &["pplx-"],
        console: "https://www.perplexity.ai/account/api/keys",
        check: Some(Check::post(&["/chat/completions"], NO_SUCH_CHAT_MODEL)),
        read: readings::perplexity,
        states_cost: true,
        ..COMMON
    },
    ProviderDef {
        id: "azure-openai",
        title: "Azure OpenAI",
        env_vars: &["AZURE_OPENAI_API_KEY"],
        auth: Auth::Header("api-key"),
        openai: None,
        console: "https://portal.azure.com",
        check: Some(Check::get(&["/openai/deployments?api-version=2023-03-15-preview"])),
        ..COMMON
    },
    ProviderDef {
        id: "voyage",
        title: "Voyage AI",
        env_vars: &["VOYAGE_API_KEY"],
        base_url: Some("https://api.voyageai.com/v1"),
        prefixes: &["pa-", "al-"],
        console: "https://dashboard.voyageai.com/organization/api-keys",
        check: Some(Check::post(&["/embeddings"], NO_SUCH_EMBEDDING_MODEL)),
        read: readings::voyage,
        refusals: &[message(&["provided api key is invalid"], KeyRefused)],
        ..COMMON
    },
    ProviderDef {
        id: "huggingface",
        title: "Hugging Face",
        env_vars: &["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"],
        base_url: Some("https://huggingface.co"),
        prefixes: &["api_org_", "hf_"],
        openai: None,
        console: "https://huggingface.co/settings/tokens",
        check: Some(Check::get(&["/api/whoami-v2"])),
        read: readings::hugging_face,
        ..COMMON
    },
    ProviderDef {
        id: "replicate",
        title: "Replicate",
        env_vars: &["REPLICATE_API_TOKEN"],
        base_url: Some("https://api.replicate.com"),
        prefixes: &["r8_"],
        openai: None,
        console: "https://replicate.com/account/api-tokens",
        check: Some(Check::get(&["/v1/account"])),
        read: readings::replicate,
        ..COMMON
    },
    ProviderDef {
        id: "cerebras",
        title: "Cerebras",
        env_vars: &["CEREBRAS_API_KEY"],
        base_url: Some("https://api.cerebras.ai/v1"),
        prefixes: &["csk-"],
        console: "https://cloud.cerebras.ai",
        check: Some(Check::get(&["/models"])),
        read: readings::vague_403,
        ..COMMON
    },
    ProviderDef {
        id: "moonshot",
        title: "Moonshot AI (Kimi)",
        env_vars: &["MOONSHOT_API_KEY", "KIMI_API_KEY"],
        base_url: Some("https://api.moonshot.ai/v1"),
        sites: &["https://api.moonshot.ai/v1", "https://api.moonshot.cn/v1"],
        prefixes: &["sk-"],
        console: "https://platform.moonshot.ai/console/api-keys",
        check: Some(Check::get(&["/models"])),
        read: readings::vague_403,
        responses: Some(openai("")),
        anthropic: Some(bearer("/v1", "/anthropic/v1")),
        model_prefixes: &["kimi-", "moonshot-"],
        ..COMMON
    },
    ProviderDef {
        id: "zai",
        title: "Z.ai",
        env_vars: &["ZAI_API_KEY", "Z_AI_API_KEY"],
        base_url: Some("https://api.z.ai/api/paas/v4"),
        sites: &["https://api.z.ai/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"],
        console: "https://z.ai/manage-apikey/apikey-list",
        check: Some(Check::post(&["/tokenizer"], TOKENIZE)),
        read: readings::z_ai,
        refusals: &[
            code("1000", KeyRefused),
            code("1001", KeyRefused),
            code("1002", KeyRefused),
            code("1003", KeyRefused),
            code("1004", KeyRefused),
            code("1111", KeyRefused),
            code("1110", NoCredit),
            code("1112", NoCredit),
            code("1113", NoCredit),
            code("1121", NoCredit),
            code("1309", NoCredit),
            message(&["insufficient balance"], NoCredit),
            code("1211", ModelMissing),
            code("1311", ModelMissing),
            code("1302", RateLimited),
            code("1303", RateLimited),
            code("1304", RateLimited),
            code("1305", RateLimited),
            code("1308", RateLimited),
            code("1310", RateLimited),
            code("1313", RateLimited),
            code("1120", ServerFailed),
            code("1230", ServerFailed),
            code("1234", ServerFailed),
            code("1312", ServerFailed),
            code("1210", RequestFault),
            code("1213", RequestFault),
            code("1214", RequestFault),
            code("1261", RequestFault),
            code("1301", RequestFault),
        ],
        anthropic: Some(bearer("/paas/v4", "/anthropic/v1")),
        model_prefixes: &["glm-"],
        ..COMMON
    },
    ProviderDef {
        id: "minimax",
        title: "MiniMax",
        env_vars: &["MINIMAX_API_KEY"],
        base_url: Some("https://api.minimax.io/v1"),
        sites: &["https://api.minimax.io/v1", "https://api.minimaxi.com/v1"],
        prefixes: &["sk-api-", "sk-"],
        console: "https://platform.minimax.io/user-center/basic-information/interface-key",
        check: Some(Check::get(&["/models"])),
        read: readings::minimax,
        refusals: &[
            code("1004", KeyRefused),
            code("2049", KeyRefused),
            // The message stands beside the code in OpenAI's and Anthropic's formats.
            message(&["insufficient balance"], NoCredit),
            code("1008", NoCredit),
            code("1002", RateLimited),
            code("1039", RateLimited),
            code("1041", RateLimited),
            code("2045", RateLimited),
            code("2056", RateLimited),
            code("2061", ModelMissing),
            code("1000", ServerFailed),
            code("1001", ServerFailed),
            code("1013", ServerFailed),
            code("1024", ServerFailed),
            code("1033", ServerFailed),
            code("1026", RequestFault),
            code("1027", RequestFault),
            code("1042", RequestFault),
            code("2013", RequestFault),
        ],
        responses: Some(openai("")),
        anthropic: Some(bearer("/v1", "/anthropic/v1")),
        model_prefixes: &["MiniMax-", "minimax-"],
        ..COMMON
    },
    ProviderDef {
        id: "vercel",
        title: "Vercel AI Gateway",
        env_vars: &["AI_GATEWAY_API_KEY"],
        base_url: Some("https://ai-gateway.vercel.sh/v1"),
        prefixes: &["vck_"],
        console: "https://vercel.com/ai-gateway",
        check: Some(Check::get(&["/credits"])),
        read: readings::vague_403,
        states_cost: true,
        responses: Some(openai("")),
        anthropic: Some(bearer("", "")),
        ..COMMON
    },
    ProviderDef {
        id: "elevenlabs",
        title: "ElevenLabs",
        env_vars: &["ELEVENLABS_API_KEY", "ELEVEN_API_KEY"],
        base_url: Some("https://api.elevenlabs.io"),
        auth: Auth::Header("xi-api-key"),
        prefixes: &["sk_"],
        openai: None,
        console: "https://elevenlabs.io/app/settings/api-keys",
        check: Some(Check::get(&["/v1/user"])),
        read: readings::elevenlabs,
        refusals: &[code("quota_exceeded", NoCredit)],
        ..COMMON
    },
    ProviderDef {
        id: "nvidia",
        title: "NVIDIA NIM",
        env_vars: &["NVIDIA_API_KEY"],
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        unmetered: Some("is free to try, within a rate limit"),
        prefixes: &["nvapi-"],
        console: "https://build.nvidia.com/settings/api-keys",
        ..COMMON
    },
    ProviderDef {
        id: "bedrock",
        title: "Amazon Bedrock",
        env_vars: &["AWS_BEARER_TOKEN_BEDROCK"],
        base_url: Some("https://bedrock-runtime.us-east-1.amazonaws.com"),
        prefixes: &["bedrock-api-key-", "ABSK"],
        openai: None,
        console: "https://console.aws.amazon.com/bedrock/home#/api-keys",
        refusals: &[message(
            &["model access is denied due to invalid_payment_instrument"],
            NoCredit,
        )],
        ..COMMON
    },
    ProviderDef {
        id: "ollama-cloud",
        title: "Ollama Cloud",
        env_vars: &["OLLAMA_API_KEY"],
        base_url: Some("https://ollama.com"),
        openai: Some(openai("/v1")),
        unmetered: Some("is paid for by a subscription"),
        console: "https://ollama.com/settings/keys",
        responses: Some(openai("/v1")),
        anthropic: Some(bearer("", "/v1")),
        ..COMMON
    },
];

/// What an endpoint of the user's own is taken for.
pub(super) static OPENAI_COMPATIBLE: ProviderDef = ProviderDef {
    title: "OpenAI-compatible endpoint",
    key: KeyUse::Optional,
    models: Some(ModelList {
        path: "/models",
        items: "/data",
        name: "/id",
        family: "/architecture",
        detail: Detail::Props,
    }),
    check: Some(Check::get(&["/models"])),
    refusals: &[message(&["insufficient balance"], NoCredit)],
    // LM Studio, llama.cpp, vLLM and LiteLLM have them; of others a 404 says that they have not.
    responses: Some(openai("")),
    anthropic: Some(bearer("", "")),
    ..COMMON
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        domain::ProviderId,
        providers::{Address, Auth, Dialect, Provider},
        settings::Config,
    };

    #[test]
    fn every_row_is_complete_and_named_once() {
        let mut ids = BTreeSet::new();
        for def in PROVIDERS {
            assert!(ids.insert(def.id), "{}", def.id);
            assert_eq!(
                def.id.parse::<ProviderId>().map(String::from),
                Ok(def.id.to_owned()),
                "its own name"
            );
            assert!(!def.title.is_empty() && !def.env_vars.is_empty(), "{}", def.id);
            if let Some(url) = def.base_url {
                let address = Address::parse(url).expect(url);
                assert_eq!(address.as_str(), url, "no slash at its end");
                assert_eq!(address.is_loopback(), def.id == "local");
            }
            for (at, prefix) in def.prefixes.iter().enumerate() {
                let covered = def.prefixes.iter().take(at).any(|before| prefix.starts_with(before));
                assert!(!covered, "{}: a longer prefix comes first", def.id);
            }
            assert!(
                def.console.is_empty() || def.console.starts_with("https://"),
                "{}",
                def.id
            );
            if let Auth::Header(name) = def.auth {
                assert_eq!(name, name.to_ascii_lowercase(), "as HTTP libraries want it");
            }
            for path in def.check.iter().flat_map(|check| check.paths) {
                assert!(path.starts_with('/'), "{}", def.id);
            }
        }
    }

    #[test]
    fn second_doors_are_where_the_providers_document_them() {
        let config = Config::parse(
            "[providers.mine]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n\
             [providers.moonshot]\nbase_url = \"https://api.moonshot.cn/v1\"\n",
        )
        .expect("a configuration");
        for (id, url, auth) in [
            (
                "anthropic",
                "https://api.anthropic.com/v1/messages",
                Auth::Header("x-api-key"),
            ),
            (
                "deepseek",
                "https://api.deepseek.com/anthropic/v1/messages",
                Auth::Header("x-api-key"),
            ),
            ("openrouter", "https://openrouter.ai/api/v1/messages", Auth::Bearer),
            (
                "moonshot",
                "https://api.moonshot.cn/anthropic/v1/messages",
                Auth::Bearer,
            ),
            ("zai", "https://api.z.ai/api/anthropic/v1/messages", Auth::Bearer),
            ("minimax", "https://api.minimax.io/anthropic/v1/messages", Auth::Bearer),
            ("vercel", "https://ai-gateway.vercel.sh/v1/messages", Auth::Bearer),
            (
                "fireworks",
                "https://api.fireworks.ai/inference/v1/messages",
                Auth::Bearer,
            ),
            ("local", "http://127.0.0.1:11434/v1/messages", Auth::Bearer),
            ("ollama-cloud", "https://ollama.com/v1/messages", Auth::Bearer),
            ("mine", "http://127.0.0.1:8000/v1/messages", Auth::Bearer),
        ] {
            let provider = config.provider(id).expect(id);
            let wire = provider.speaks(Dialect::Anthropic).expect(id);
            let address = provider.address.as_ref().expect(id);
            let there = address.beside(wire.instead_of, wire.path, "/messages").expect(id);
            assert_eq!((there.to_string().as_str(), wire.auth), (url, auth));
        }
        for (id, url) in [
            ("openai", Some("https://api.openai.com/v1/responses")),
            ("openrouter", Some("https://openrouter.ai/api/v1/responses")),
            ("local", Some("http://127.0.0.1:11434/v1/responses")),
            ("mine", Some("http://127.0.0.1:8000/v1/responses")),
            ("mistral", None),
            ("anthropic", None),
        ] {
            let provider = config.provider(id).expect(id);
            let there = provider.speaks(Dialect::Responses).map(|wire| {
                let address = provider.address.as_ref().expect(id);
                address
                    .beside(wire.instead_of, wire.path, "/responses")
                    .expect(id)
                    .to_string()
            });
            assert_eq!(there.as_deref(), url, "{id}");
        }
    }

    #[test]
    fn the_four_first_providers_are_where_their_own_sdks_find_them() {
        let config = Config::default();
        for (id, url) in [
            ("anthropic", "https://api.anthropic.com"),
            ("openai", "https://api.openai.com/v1"),
            ("google", "https://generativelanguage.googleapis.com"),
            ("local", "http://127.0.0.1:11434"),
        ] {
            assert_eq!(config.provider(id).expect(id).base_url, url);
        }
        let order: Vec<_> = PROVIDERS.iter().take(4).map(|def| def.id).collect();
        assert_eq!(order, ["anthropic", "openai", "google", "local"]);
        assert!(Provider::own("my-vllm".parse().expect("a name")).env_var == "MY_VLLM_API_KEY");
    }
}
