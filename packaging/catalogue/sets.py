"""Reads the two public sets of prices, genai-prices and litellm, into one form; nothing of their packages is run."""

import ast
import datetime
import json
import re
import zipfile
from decimal import Decimal

# What this catalogue calls a provider, and what the sets call it.
GENAI = {
    "azure-openai": "azure",
    "bedrock": "aws",
    "moonshot": "moonshotai",
    "voyage": "voyageai",
    "xai": "x-ai",
}
LITELLM = {"google": "gemini"}
SERVICES = ("standard", "batch", "flex", "priority", "fast")
# Whose responses count searches of the web; of others a fee for them could never be charged.
COUNTS_SEARCHES = ("anthropic", "perplexity")
MILLION = Decimal(1_000_000)


# --- genai-prices ---------------------------------------------------------------------------------------------------


class Node:
    """A constructor call of the package's data module: its name and arguments."""

    def __init__(self, name, positional, named):
        self.name, self.positional = name, positional
        self.__dict__.update(named)

    def get(self, name, default=None):
        return self.__dict__.get(name, default)


def read_genai(wheel):
    """The providers of genai-prices, read from its data module without running it."""
    tree = ast.parse(zipfile.ZipFile(wheel).read("genai_prices/data.py"))
    listed = next(node for node in tree.body if isinstance(node, ast.AnnAssign) and node.target.id == "providers")
    return {provider.id: provider for provider in evaluate(listed.value)}


def evaluate(node):
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [evaluate(item) for item in node.elts]
        case ast.Dict():
            return {evaluate(key): evaluate(value) for key, value in zip(node.keys, node.values)}
        case ast.Attribute():
            return node.attr
        case ast.Call():
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            positional = [evaluate(argument) for argument in node.args]
            named = {keyword.arg: evaluate(keyword.value) for keyword in node.keywords}
            if name == "Decimal":
                return Decimal(positional[0])
            if name == "date":
                return datetime.date(*positional)
            if name == "time":
                return datetime.time(*positional[:2])
            return Node(name, positional, named)
    raise ValueError(f"genai-prices' data has {ast.dump(node)[:80]}: teach this script to read it")


def matches(clause, name):
    match clause.name:
        case "ClauseEquals":
            return name == clause.equals.lower()
        case "ClauseStartsWith":
            return name.startswith(clause.starts_with.lower())
        case "ClauseEndsWith":
            return name.endswith(clause.ends_with.lower())
        case "ClauseContains":
            return clause.contains.lower() in name
        case "ClauseRegex":
            return re.search(clause.regex, name) is not None
        case "ClauseOr":
            return any(matches(part, name) for part in clause.or_)
        case "ClauseAnd":
            return all(matches(part, name) for part in clause.and_)
    raise ValueError(f"genai-prices matches names by {clause.name}: teach this script to")


def genai_model(providers, provider, name):
    models = providers[GENAI.get(provider, provider)].models
    return next((model for model in models if matches(model.match, name.lower())), None)


GENAI_RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "output_image_mtok": "pictures",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "audio_cache_read",
    "input_image_mtok": "image_input",
    "output_audio_mtok": "audio_output",
    "output_citation_mtok": "citations",
    "web_searches_kcount": "searches",
}
GENAI_SERVICES = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


def genai_prices(provider, model):
    """The prices of one of the provider's models in genai-prices in the catalogue's form, oldest first."""
    priced = model.prices
    if isinstance(priced, Node):
        priced = [Node("ConditionalPrice", [], {"prices": priced})]
    constraint = lambda entry: (entry.positional or [entry.get("constraint")])[0]
    dated = [entry for entry in priced if constraint(entry) is None or constraint(entry).name == "StartDateConstraint"]
    hourly = [entry for entry in priced if entry not in dated]
    begins = lambda entry: constraint(entry).start_date if constraint(entry) else datetime.date.min
    dated.sort(key=begins)
    entries = []
    for at, entry in enumerate(dated):
        end = begins(dated[at + 1]) if at + 1 < len(dated) else datetime.date.max
        tables = {"standard": entry.prices}
        for variant in model.get("price_variants") or ():
            service = GENAI_SERVICES.get(tuple(*variant.when.items())) if len(variant.when) == 1 else None
            start = variant.constraint.start_date if variant.get("constraint") else datetime.date.min
            # The first variant that holds wins, key by key, and begins before this entry ends.
            if service and variant.prices.__dict__.keys() - {"name", "positional"} and start < end:
                merged = tables.setdefault(service, Node("ModelPrice", [], dict(entry.prices.__dict__)))
                fresh = merged.__dict__.setdefault("taken", set())
                for key, value in variant.prices.__dict__.items():
                    if key not in ("name", "positional") and key not in fresh:
                        merged.__dict__[key] = value
                        fresh.add(key)
        price = tariff(provider, {service: lambda key, prices=prices: prices.get(key) for service, prices in tables.items()})
        if not price:
            continue
        if begins(entry) != datetime.date.min:
            price = {"from": begins(entry).isoformat(), **price}
        entries.append(price)
    if hourly and entries:
        hours = []
        for entry in hourly:
            window = constraint(entry)
            known = entry.prices.__dict__.items()
            rates = {GENAI_RATES[key]: value for key, value in known if GENAI_RATES.get(key, "searches") != "searches"}
            times = {"from": f"{window.start_time:%H:%M}", "to": f"{window.end_time:%H:%M}"}
            hours.append({**times, **weekdays(model), "standard": rates})
        entries[-1]["hours"] = hours
    return entries


def weekdays(model):
    """The set says in words only that hours are not for weekends."""
    return {"days": "monday_to_friday"} if "weekend" in (model.get("price_comments") or "").lower() else {}


def tariff(provider, tables):
    """One price of the catalogue from a table of prices by service."""
    base, tiers = {}, {}
    for service in SERVICES:
        if service not in tables:
            continue
        rates, above = {}, {}
        for key, rate in GENAI_RATES.items():
            value = tables[service](key)
            if isinstance(value, Node):
                for tier in value.tiers:
                    above.setdefault(tier.get("start"), {})[rate] = tier.get("price")
                value = value.base
            if value is not None and (rate != "searches" or provider in COUNTS_SEARCHES):
                rates[rate] = value
        if "input" not in rates:
            continue
        base[service] = rates
        for start, changed in above.items():
            tiers.setdefault(start + 1, {})[service] = {**rates, **changed}
    if "standard" not in base:
        return None
    for start, by_service in tiers.items():
        # A service without rates of its own for long prompts has the same for all.
        tiers[start] = {service: by_service.get(service, rates) for service, rates in base.items()}
    ordered = [{"from_input_tokens": start, **tiers[start]} for start in sorted(tiers)]
    return {**base, **({"tiers": ordered} if ordered else {})}


# --- litellm --------------------------------------------------------------------------------------------------------


def read_litellm(wheel):
    text = zipfile.ZipFile(wheel).read("litellm/model_prices_and_context_window_backup.json")
    return json.loads(text, parse_float=Decimal, parse_int=int)


def litellm_model(entries, provider, name):
    ours = LITELLM.get(provider, provider)
    for key in (f"{ours}/{name}", name):
        entry = entries.get(key)
        if entry and entry["litellm_provider"].removesuffix("_chat") == ours:
            return entry
    return None


LITELLM_RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "pictures": "output_cost_per_image_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_cache_read": "cache_read_input_audio_token_cost",
    "image_input": "input_cost_per_image_token",
    "audio_output": "output_cost_per_audio_token",
    "citations": "citation_cost_per_token",
}
LITELLM_SERVICES = {"standard": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}


def litellm_price(entry):
    """What litellm says of a model's price today, in the catalogue's form."""
    base, tiers = {}, {}
    long_prompts = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
    above = sorted({int(found[1]) for key in entry if (found := long_prompts.match(key))})

    def rates(infix, suffix):
        found = {rate: entry.get(key + infix + suffix) for rate, key in LITELLM_RATES.items()}
        found = {rate: Decimal(value) * MILLION for rate, value in found.items() if value is not None}
        return found if "input" in found else None

    for service, suffix in LITELLM_SERVICES.items():
        if found := rates("", suffix):
            base[service] = found
    if "standard" not in base:
        return None
    base["standard"] |= litellm_fees(entry)
    for thousands in above:
        found = {service: rates(f"_above_{thousands}k_tokens", suffix) for service, suffix in LITELLM_SERVICES.items()}
        tier = {service: rates for service, rates in found.items() if rates}
        tiers[thousands * 1000 + 1] = tier
    ordered = [{"from_input_tokens": start, **tiers[start]} for start in sorted(tiers)]
    return {**base, **({"tiers": ordered} if ordered else {})}


def litellm_fees(entry):
    """Fees for searches, or for requests by how much of the web they draw on; per thousand."""
    fees = entry.get("search_context_cost_per_query")
    if not fees or entry["litellm_provider"] not in COUNTS_SEARCHES:
        return {}
    fees = [Decimal(fees[f"search_context_size_{size}"]) * 1000 for size in ("low", "medium", "high")]
    # Perplexity charges a fee for the request, and for each search only where the model makes many.
    by_request = entry["litellm_provider"] == "perplexity" and "citation_cost_per_token" not in entry
    return {"requests": fees} if by_request else {"searches": fees[0]}
