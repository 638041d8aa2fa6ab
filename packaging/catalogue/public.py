"""The public layer: every model with a price by the token that the sets know of the built-in providers.

The rules, beside those of `catalogue.py`:

- A name is a model's if a set lists it for the provider: as the id, as one that equals it, or as the start that a
  pattern names. A pattern lends its price to a name only where litellm lists that very name with the same plain rates.
- Where genai-prices has the name, its price is taken, and what only litellm knows of it is added; else litellm's.
- Where the two differ on the price in force, the model says so under `compared`.
- A model that reads text out is one where litellm has its price by the character.
- What has no price of input and output is left out: nothing may mean unknown. It is free where the name ends in `:free`,
  where both sets say nothing, or where the provider's own page says so.
- Models of the hand-kept catalogue are left out; names that only the sets know for one become its aliases, if the price
  is the same.
- Hugging Face's router takes `MAKER/MODEL:PROVIDER`. The name alone has a price where all its providers have the same.
"""

import copy
import re
from decimal import Decimal

from rules import differences, fill, in_force, not_costed, tidy
from sets import GENAI, MILLION, genai_prices, litellm_price, matches

# The providers of the sets that a built-in provider's models are taken from; litellm's in the order of trust.
LITELLM = {
    "anthropic": ["anthropic"],
    "azure-openai": ["azure", "azure_ai"],
    "bedrock": ["bedrock_converse", "bedrock", "bedrock_mantle"],
    "cerebras": ["cerebras"],
    "cohere": ["cohere_chat", "cohere"],
    "deepseek": ["deepseek"],
    "elevenlabs": ["elevenlabs"],
    "fireworks": ["fireworks_ai", "fireworks_ai-embedding-models"],
    "google": [
        "gemini",
        "vertex_ai-language-models",
        "vertex_ai-embedding-models",
        "vertex_ai",
        "vertex_ai-anthropic_models",
        "vertex_ai-llama_models",
        "vertex_ai-mistral_models",
        "vertex_ai-deepseek_models",
        "vertex_ai-openai_models",
        "vertex_ai-qwen_models",
        "vertex_ai-moonshot_models",
        "vertex_ai-minimax_models",
        "vertex_ai-zai_models",
        "vertex_ai-ai21_models",
    ],
    "groq": ["groq"],
    "huggingface": [],
    "minimax": ["minimax"],
    "mistral": ["mistral", "codestral"],
    "moonshot": ["moonshot"],
    "openai": ["openai", "text-completion-openai"],
    "openrouter": ["openrouter"],
    "perplexity": ["perplexity"],
    "replicate": ["replicate"],
    "together": ["together_ai"],
    "vercel": ["vercel_ai_gateway"],
    "voyage": ["voyage"],
    "xai": ["xai"],
    "zai": ["zai"],
}
KINDS = {
    "chat": "chat",
    "completion": "chat",
    "responses": "chat",
    "embedding": "embedding",
    "rerank": "rerank",
    "audio_speech": "speech",
}
CAN = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_reasoning": "reasoning",
    "supports_prompt_caching": "prompt_caching",
}
NAME = re.compile(r"[A-Za-z0-9\-._:/@+~]{1,200}")
# Free of charge by docs.z.ai/guides/overview/pricing.
DOCUMENTED_FREE = ("glm-4.5-flash", "glm-4.7-flash")
FREE = {"standard": {"input": Decimal(0)}}


class Entry:
    """One model of the layer while it is put together."""

    def __init__(self, kind, prices, source, names, genai=None):
        self.kind, self.prices, self.source, self.names, self.genai = kind, prices, source, names, genai
        self.litellm, self.differs = None, ""

    def complete(self, kind, litellm, said, today):
        """Adds what only litellm knows."""
        if self.kind != "image":
            self.kind = kind
        self.litellm = litellm
        if said and self.genai:
            self.prices = copy.deepcopy(self.prices)
            current = in_force(self.prices, today)
            self.differs = ", ".join(differences(current, said))
            fill(current, said)
            self.prices = [tidy(self.kind, price) for price in self.prices]


def layer(provider, kept, sets, today):
    """The models of `provider` that the sets know and `kept` has not, and further names of those that it has."""
    entries = from_genai(provider, sets["genai-prices"])
    free = free_in_genai(provider, sets["genai-prices"])
    add_litellm(provider, entries, sets["litellm"], free, today)
    return apart(provider, entries, kept, today)


# --- genai-prices ---------------------------------------------------------------------------------------------------


def from_genai(provider, providers):
    if provider == "huggingface":
        return hugging_face(providers)
    listed = providers.get(GENAI.get(provider, provider))
    entries = []
    for model in listed.models if listed else ():
        kind = genai_kind(model)
        prices = [tidy(kind, entry) for entry in genai_prices(provider, model)]
        names = [name for name in genai_names(model) if NAME.fullmatch(name)]
        if is_nothing(prices):
            names = [name for name in names if name.endswith(":free")]
            prices = [FREE]
        if names:
            entries.append(Entry(kind, prices, "genai-prices", names, model))
    return entries


def free_in_genai(provider, providers):
    """The models that the set prices at nothing."""
    listed = providers.get(GENAI.get(provider, provider))
    return [model for model in (listed.models if listed else ()) if is_nothing(genai_prices(provider, model))]


def genai_names(model):
    """The names that the set gives a model: the id first, unless another one is what the provider takes."""
    equal, starts = [], []

    def collect(clause):
        match clause.name:
            case "ClauseEquals":
                equal.append(clause.equals)
            case "ClauseStartsWith" if clause.starts_with[-1:].isalnum():
                starts.append(clause.starts_with)
            case "ClauseOr":
                for part in clause.or_:
                    collect(part)

    collect(model.match)
    names = [model.id] if matches(model.match, model.id.lower()) and model.id[-1:].isalnum() else []
    return list(dict.fromkeys([*names, *equal, *starts]))


def genai_kind(model):
    prices = model.prices if not isinstance(model.prices, list) else model.prices[-1].prices
    if prices.get("output_mtok") is not None:
        is_image = prices.get("output_image_mtok") is not None and "image" in model.id
        return "image" if is_image else "chat"
    if prices.get("input_mtok") is None:
        return "chat"
    return "rerank" if "rerank" in model.id else "embedding"


def hugging_face(providers):
    entries, everywhere = [], {}
    for id, listed in providers.items():
        if not id.startswith("huggingface_"):
            continue
        served_by = id.removeprefix("huggingface_")
        for model in listed.models:
            prices = [tidy(genai_kind(model), entry) for entry in genai_prices("huggingface", model)]
            if is_nothing(prices) or not NAME.fullmatch(model.id):
                continue
            entry = Entry(genai_kind(model), prices, "genai-prices", [f"{model.id}:{served_by}"], model)
            entries.append(entry)
            everywhere.setdefault(model.id, []).append(entry)
    for name, of_all in everywhere.items():
        if all(entry.prices == of_all[0].prices for entry in of_all):
            of_all[0].names.append(name)
    return entries


# --- litellm --------------------------------------------------------------------------------------------------------


def add_litellm(provider, entries, models, free, today):
    by_name = {}
    for entry in entries:
        for name in entry.names:
            by_name.setdefault(name.lower(), entry)
    own = {}
    for theirs in LITELLM[provider]:
        here = {}
        for key, model in models.items():
            name = litellm_name(theirs, key)
            # With the provider in front it is meant for sure.
            if model.get("litellm_provider") == theirs and NAME.fullmatch(name) and (name not in here or key != name):
                here[name] = model
        own = {**here, **own}
    for name, model in own.items():
        kind = KINDS.get(model.get("mode"))
        if kind is None:
            continue
        said = spoken_price(model) if kind == "speech" else litellm_price(model)
        if kind == "speech" and (said is None or name.lower() in by_name):
            continue
        said = tidy(kind, said) if said else None
        is_free = said is not None and is_nothing([said])
        entry = by_name.get(name.lower()) or lent(entries, name, said, today)
        if entry is None:
            entry = Entry(kind, [said], "litellm", [name])
            by_both = any(matches(model.match, name.lower()) for model in free)
            if said is None or is_free and not (by_both or name.endswith(":free") or name in DOCUMENTED_FREE):
                continue
            entries.append(entry)
        elif is_free and not is_nothing(entry.prices):
            # Nothing may mean unknown.
            said = None
        if name.lower() != entry.names[0].lower():
            # What litellm lists is a model of its own, whatever it shares a price with.
            entry.names = [other for other in entry.names if other != name]
            entry = Entry(kind, entry.prices, entry.source, [name], entry.genai)
            entries.append(entry)
        elif name != entry.names[0]:
            entry.names = [name, *(other for other in entry.names if other != name)]
        entry.complete(kind, model, said, today)


def lent(entries, name, said, today):
    """The entry whose pattern fits `name` and whose plain rates litellm gives that very name."""
    fits = lambda entry: entry.genai and matches(entry.genai.match, name.lower())
    entry = next(filter(fits, entries), None)
    is_same = entry and said and plain(in_force(entry.prices, today)) == plain(said)
    return entry if is_same else None


def litellm_name(theirs, key):
    for prefix in (f"{theirs}/", "bedrock/", "bedrock_mantle/", "vertex_ai/", "fireworks_ai/", "cohere/", "codestral/"):
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def plain(price):
    return (price["standard"].get("input"), price["standard"].get("output")) if price else None


def spoken_price(model):
    """The price of a model that reads text out, where it is by the character."""
    rate = model.get("input_cost_per_character")
    return {"standard": {"input": Decimal(0), "characters": Decimal(rate) * MILLION}} if rate else None


def is_nothing(prices):
    rates = ("input", "output", "characters")
    return not prices or all(not any(price["standard"].get(rate) for rate in rates) for price in prices)


# --- together -------------------------------------------------------------------------------------------------------


def apart(provider, entries, kept, today):
    """The entries as models of the catalogue, each name once, and the further names of kept models."""
    of_kept = {name: model for model in kept for name in names_of(model)}
    further = {model["id"]: [] for model in kept}
    taken, models = set(of_kept), []
    # An id goes before an alias of another model.
    ids = {entry.names[0] for entry in entries}
    for entry in entries:
        model = next((of_kept[name] for name in entry.names if name in of_kept), None)
        names = [name for name in entry.names if name not in taken and (name == entry.names[0] or name not in ids)]
        if not names:
            continue
        taken.update(names)
        if model and plain(in_force(model["prices"], today)) == plain(in_force(entry.prices, today)):
            further[model["id"]] += names
            continue
        models.append(described(provider, names, entry, today))
    models.sort(key=lambda model: model["id"])
    return models, further


def names_of(model):
    return [model["id"].split("/", 1)[1], *model.get("aliases", ())]


def described(provider, names, entry, today):
    litellm, genai = entry.litellm or {}, entry.genai
    count = lambda key: litellm.get(key) if isinstance(litellm.get(key), int) and litellm.get(key) > 0 else None
    window = count("max_input_tokens") or (genai.get("context_window") if genai else None)
    can = sorted(value for key, value in CAN.items() if litellm.get(key) is True)
    model = {
        "id": f"{provider}/{names[0]}",
        "kind": entry.kind,
        "aliases": names[1:],
        "context_window": window,
        "max_output": count("max_output_tokens") if entry.kind in ("chat", "image") else None,
        "can": can if entry.kind == "chat" and litellm else None,
        "status": "deprecated" if genai and genai.get("deprecated") else None,
        "retires_on": litellm.get("deprecation_date"),
        "not_costed": not_costed(provider, entry.kind, genai, entry.litellm),
        "compared": {"litellm": entry.differs} if entry.differs else None,
    }
    if entry.kind not in ("chat", "image"):
        model["can"] = None
    facts = {key: value for key, value in model.items() if value or key in ("can",) and value is not None}
    return {**facts, "prices": [{"source": entry.source, **price} for price in entry.prices]}
