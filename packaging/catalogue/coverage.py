"""How many of the chat and embedding models that a provider serves have a price in the catalog.

Counted by the names in both sets that have not retired, without those of `EXCLUDED`. Names are looked up as they are
spelled: what the program finds beside that (dates, folders, ARNs) does not count here.
"""

import re

from public import KINDS, LITELLM, genai_kind, genai_names, litellm_name
from sets import GENAI

# The least share of a provider's names, in percent, for the providers that it is promised for.
TARGET = 95
PROMISED = (
    *("anthropic", "openai", "google", "mistral", "groq", "deepseek", "xai", "cohere", "voyage", "together"),
    *("fireworks", "perplexity", "bedrock", "azure-openai", "zai", "moonshot", "minimax", "cerebras", "openrouter"),
)
# Names in a set that are no live chat or embedding models: provider, pattern of the name, reason.
EXCLUDED = [
    ("azure-openai", r"container", "a sandbox for code, charged by the session; not a model"),
    ("openai", r"container", "a sandbox for code, charged by the session; not a model"),
    ("bedrock", r".*/[16]-month-commitment/.*", "provisioned throughput, rented by the hour under an ARN of its own"),
    ("google", r"lyria-.*", "makes music, charged by the song"),
    ("google", r"gemini-exp-.*|gemini-flash-experimental|learnlm-.*", "an experiment that was shut down in 2025"),
    ("google", r"medlm-.*", "retired on 2025-09-29"),
    (
        "google",
        r"meta/llama3-(8b|70b|405b)-instruct-maas",
        "a former name that Vertex AI no longer documents: now meta/llama-3.1-…",
    ),
    ("perplexity", r"preset/.*", "settings for other models and tools, billed as those; the response states the cost"),
]


def coverage(models, sets, today):
    """Of each provider: how many names are covered, how many there are, and which are missing; then which are excluded."""
    known = {}
    for model in models:
        provider, name = model["id"].split("/", 1)
        known.setdefault(provider, set()).update(spelling.lower() for spelling in (name, *model.get("aliases", ())))
    rows, excluded = {}, []
    for provider in LITELLM:
        names = live_in_litellm(provider, sets["litellm"], today) | live_in_genai(provider, sets["genai-prices"])
        reasons = [(re.compile(pattern), reason) for of, pattern, reason in EXCLUDED if of == provider]
        for name in sorted(names):
            reason = next((reason for pattern, reason in reasons if pattern.fullmatch(name)), None)
            if reason:
                names.remove(name)
                excluded.append((f"{provider}/{name}", reason))
        missing = sorted(name for name in names if name.lower() not in known.get(provider, ()))
        rows[provider] = (len(names) - len(missing), len(names), missing)
    return rows, excluded


def live_in_litellm(provider, models, today):
    return {
        litellm_name(theirs, key)
        for theirs in LITELLM[provider]
        for key, model in models.items()
        if model.get("litellm_provider") == theirs
        and KINDS.get(model.get("mode")) in ("chat", "embedding")
        and model.get("deprecation_date", "9999") > today
    }


def live_in_genai(provider, providers):
    listed = providers.get(GENAI.get(provider, provider))
    return {
        name
        for model in (listed.models if listed else ())
        if not model.get("deprecated") and by_token(model) and genai_kind(model) in ("chat", "embedding")
        for name in genai_names(model)[:1]
    }


def by_token(model):
    prices = model.prices if not isinstance(model.prices, list) else model.prices[-1].prices
    return prices.get("input_mtok") is not None


def report(rows, excluded):
    """Prints the table; false where a promise is not kept."""
    for provider, (covered, total, missing) in rows.items():
        share = f"{100 * covered / total:.1f} %" if total else "no list"
        print(f"{provider:14} {covered:4} of {total:4} live chat and embedding names  {share}")
        for name in missing:
            print(f"    without a price: {name}")
    for name, reason in excluded:
        print(f"not counted: {name}: {reason}")
    short = [provider for provider in PROMISED if rows[provider][0] * 100 < TARGET * rows[provider][1]]
    for provider in short:
        print(f"{provider}: less than {TARGET} % have a price")
    return not short
