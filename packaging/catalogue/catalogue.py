#!/usr/bin/env python3
"""Compares the built-in catalogue, src/catalog/models.json, with public sets of prices, and rebuilds it from them.

    pip download --no-deps --dest sets -r requirements.txt     # nothing of the packages is run
    catalogue.py sets --check     print what the sets say otherwise; exit 1 if a rebuild would change the catalogue
    catalogue.py sets --write     rebuild it; review the difference before committing it

The rules, in one place:

- Prices come from genai-prices where it knows the model (it has dates, tiers, services and hours), else from litellm,
  else they stay as they are. What genai-prices does not say of the price in force now (flex, priority, batch) is taken
  from litellm where the two agree on its standard rates.
- A price entry whose `source` is neither of them was looked up by hand. It is kept as it is, and so is all of a model
  with `"pinned": "why"`; both are still compared, so that the reason is read again at every rebuild.
- Names, kind, context window, output, capabilities and status are facts of the catalogue and survive a rebuild;
  `--check` tells where the sets say otherwise.
- A date on which a *service* was first verified is not a change of price: the service holds for the whole entry. Only
  dates of standard prices begin a new one.
- `above N tokens` becomes `from_input_tokens: N + 1`.
- Here a cache write is charged *instead of* input. A set that gives it less than input means a charge for storage *on
  top of* input (OpenRouter's documentation of Gemini says so; DeepSeek's 0 is the same): the two are added.
- A model that makes pictures is priced as if all its output were pictures, and its thinking as text.
- What only the catalogue knows of a price survives for as long as its plain input and output rates do.
- What cannot be counted in text tokens (searches, sound, pictures, minutes) is listed under `not_costed`.

Amounts are decimal numbers from end to end; no float is involved.
"""

import argparse
import ast
import datetime
import json
import pathlib
import re
import sys
import zipfile
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "src/catalog/models.json"
# What this catalogue calls a provider, and what the sets call it.
GENAI = {"xai": "x-ai", "voyage": "voyageai"}
LITELLM = {"google": "gemini"}
RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
SERVICES = ("standard", "batch", "flex", "priority", "fast")
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
}
GENAI_SERVICES = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


def genai_prices(model):
    """The prices of one model of genai-prices in the catalogue's form, oldest first."""
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
        price = tariff({service: lambda key, prices=prices: prices.get(key) for service, prices in tables.items()})
        if not price:
            continue
        if begins(entry) != datetime.date.min:
            price = {"from": begins(entry).isoformat(), **price}
        entries.append(price)
    if hourly and entries:
        hours = []
        for entry in hourly:
            window = constraint(entry)
            rates = {GENAI_RATES[key]: value for key, value in entry.prices.__dict__.items() if key in GENAI_RATES}
            times = {"from": f"{window.start_time:%H:%M}", "to": f"{window.end_time:%H:%M}"}
            hours.append({**times, **weekdays(model), "standard": rates})
        entries[-1]["hours"] = hours
    return entries


def weekdays(model):
    """The set says in words only that hours are not for weekends."""
    return {"days": "monday_to_friday"} if "weekend" in (model.get("price_comments") or "").lower() else {}


def tariff(tables):
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
            if value is not None:
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
    for thousands in above:
        found = {service: rates(f"_above_{thousands}k_tokens", suffix) for service, suffix in LITELLM_SERVICES.items()}
        tier = {service: rates for service, rates in found.items() if rates}
        tiers[thousands * 1000 + 1] = tier
    ordered = [{"from_input_tokens": start, **tiers[start]} for start in sorted(tiers)]
    return {**base, **({"tiers": ordered} if ordered else {})}


# --- the catalogue --------------------------------------------------------------------------------------------------


def tidied(kind, rates):
    """Rates by the rules above, in order, to nine decimal places."""
    rates = dict(rates)
    if kind in ("embedding", "rerank"):
        rates = {"input": rates["input"]}
    pictures = rates.pop("pictures", None)
    if kind == "image" and pictures is not None:
        rates["reasoning"], rates["output"] = rates["output"], pictures
    for write in ("cache_write", "cache_write_1h"):
        if write in rates and rates[write] < rates["input"]:
            rates[write] += rates["input"]
        if rates.get(write) == rates["input"]:
            del rates[write]
    if rates.get("reasoning") == rates.get("output"):
        rates.pop("reasoning", None)
    return {rate: rates[rate].quantize(Decimal("1e-9")).normalize() for rate in RATES if rate in rates}


def tidy(kind, entry):
    """A price entry with its parts tidied and in order."""
    # A set that knows the price of pictures knows it of each service, or that service is not for pictures.
    known = "pictures" not in entry["standard"] or kind != "image"
    offered = [service for service in SERVICES if service in entry and (known or "pictures" in entry[service])]
    services = {service: tidied(kind, entry[service]) for service in offered}
    head = {key: entry[key] for key in ("from", "source") if key in entry}
    tiers = [{"from_input_tokens": tier["from_input_tokens"], **tidy(kind, tier)} for tier in entry.get("tiers", ())]
    times = ("from", "to", "days")
    hours = [
        {**{key: window[key] for key in times if key in window}, "standard": tidied(kind, window["standard"])}
        for window in entry.get("hours", ())
    ]
    return {**head, **services, **({"tiers": tiers} if tiers else {}), **({"hours": hours} if hours else {})}


def in_force(prices, day):
    return [price for price in prices if price.get("from", "") <= day][-1] if prices else None


def fill(entry, other):
    """Puts into `entry` what only `other` knows, if the two agree on plain input and output."""
    plain = lambda entry: (entry["standard"].get("input"), entry["standard"].get("output"))
    if plain(entry) != plain(other):
        return
    for service in SERVICES:
        if service in other:
            entry.setdefault(service, {})
            entry[service] = {**other[service], **entry[service]}
    for tier in entry.get("tiers", ()):
        # At or above a threshold, or only above it: the sets differ by one token, and mean the same tier.
        near = lambda theirs: abs(theirs["from_input_tokens"] - tier["from_input_tokens"]) <= 1
        for theirs in filter(near, other.get("tiers", ())):
            fill(tier, theirs)


NOT_COSTED = {
    "web_searches_kcount": "web searches: ${} per 1,000",
    "storage_searches_kcount": "searches of stored files: ${} per 1,000",
    "input_audio_mtok": "sound as input: ${} per million tokens",
    "input_image_mtok": "pictures as input: ${} per million tokens",
    "input_video_mtok": "video as input: ${} per million tokens",
    "output_audio_mtok": "sound as output: ${} per million tokens",
    "output_video_mtok": "video as output: ${} per million tokens",
    "input_audio_hours": "sound as input: ${} per hour",
}


def not_costed(genai, litellm, entry):
    """What a model also costs, in words."""
    said = []
    if genai:
        prices = genai.prices if isinstance(genai.prices, Node) else genai.prices[-1].prices
        for key, words in NOT_COSTED.items():
            value = prices.get(key)
            if value is not None and value != prices.get("input_mtok"):
                said.append(words.format(number(value)))
    if litellm:
        if "input_cost_per_query" in litellm:
            said.append(f"searches: ${number(Decimal(litellm['input_cost_per_query']) * 1000)} per 1,000")
        if "cache_creation_input_token_cost_above_12hr" in litellm:
            rate = Decimal(litellm["cache_creation_input_token_cost_above_12hr"]) * MILLION
            said.append(f"cache writes kept for 12 hours: ${number(rate)} per million tokens")
        regions = {region: litellm.get(f"regional_processing_uplift_multiplier_{region}") for region in ("us", "eu")}
        regions["us"] = regions["us"] or litellm.get("provider_specific_entry", {}).get("us")
        for region, times in regions.items():
            if times:
                said.append(f"processing only in the {region.upper()}: {number(times)} times all rates")
    return said


def differences(ours, theirs):
    """Where two price entries say different things of the same, each as `name theirs`."""
    if ours is None or theirs is None:
        return []
    found = []
    for service in SERVICES:
        for rate, value in theirs.get(service, {}).items():
            if service in ours and value != ours[service].get(rate, value):
                found.append(f"{service} {rate} {number(value)}")
    tiers = lambda entry: {tier["from_input_tokens"]: tier for tier in entry.get("tiers", ())}
    ours_by, theirs_by = tiers(ours), tiers(theirs)
    if ours_by.keys() != theirs_by.keys():
        found.append(f"tiers from {', '.join(map(str, theirs_by))}" if theirs_by else "no tiers")
    for start in ours_by.keys() & theirs_by.keys():
        found += [f"from {start}: {difference}" for difference in differences({**ours_by[start]}, {**theirs_by[start]})]
    return found


def rebuilt(model, sets, today):
    """The model as the rules make it from the sets, and what each set says of the price in force today."""
    provider, name = model["id"].split("/", 1)
    genai = genai_model(sets["genai-prices"], provider, name)
    litellm = litellm_model(sets["litellm"], provider, name)
    by_genai = [tidy(model["kind"], entry) for entry in (genai_prices(genai) if genai else [])]
    by_litellm = litellm_price(litellm) if litellm else None
    by_litellm = tidy(model["kind"], by_litellm) if by_litellm else None
    old, by_hand = model["prices"], {price["source"] for price in model["prices"]} - {"genai-prices", "litellm"}
    if "pinned" in model or by_hand or not (by_genai or by_litellm):
        prices = old
    else:
        prices = [{"source": "genai-prices", **entry} for entry in by_genai] or [{"source": "litellm", **by_litellm}]
        current = in_force(prices, today)
        for other in filter(None, (by_litellm, in_force(old, today))):
            fill(current, other)
        prices = [tidy(model["kind"], entry) for entry in prices]
    current = in_force(prices, today)
    said = {"genai-prices": in_force(by_genai, today), "litellm": by_litellm}
    said = {name: entry for name, entry in said.items() if entry and current}
    compared = {name: ", ".join(differences(current, entry)) or "agrees" for name, entry in said.items()}
    also = not_costed(genai, litellm, current)
    order = ("id", "kind", "aliases", "context_window", "max_input", "max_output", "can", "status", "retires_on")
    facts = {key: model[key] for key in order if key in model}
    if also:
        facts["not_costed"] = also
    if "pinned" in model:
        facts["pinned"] = model["pinned"]
    if compared:
        facts["compared"] = compared
    return {**facts, "prices": prices}, genai, litellm


def facts_that_differ(model, genai, litellm):
    """What the sets say otherwise of a model itself."""
    found = []
    for key, theirs in (("max_input_tokens", ("max_input", "context_window")), ("max_output_tokens", ("max_output",))):
        value = (litellm or {}).get(key)
        ours = {model.get(name) for name in theirs}
        if isinstance(value, int) and value not in ours:
            found.append(f"litellm: {key} {value}, here {sorted(filter(None, ours))}")
    if genai and genai.get("context_window") and genai.context_window != model.get("context_window"):
        found.append(f"genai-prices: context_window {genai.context_window}, here {model.get('context_window')}")
    if litellm and litellm.get("deprecation_date") and litellm["deprecation_date"] != model.get("retires_on"):
        found.append(f"litellm: deprecation_date {litellm['deprecation_date']}, here {model.get('retires_on')}")
    return found


def number(value):
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def spelled(value):
    """JSON on one line, with decimal numbers as they are."""
    match value:
        case Decimal():
            return number(value)
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {spelled(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(spelled, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def document(catalogue):
    """The file: a model's facts on a line, and each of its prices on another."""
    head = [f"  {json.dumps(key)}: {spelled(value)}," for key, value in catalogue.items() if key != "models"]
    models = []
    for model in catalogue["models"]:
        facts = spelled({key: value for key, value in model.items() if key != "prices"})[:-1]
        prices = ",\n".join(f"      {spelled(price)}" for price in model["prices"])
        models.append(f'    {facts}, "prices": [' + (f"\n{prices}\n    ]" if prices else "]") + "}")
    return "{\n" + "\n".join(head) + '\n  "models": [\n' + ",\n".join(models) + "\n  ]\n}\n"


def parse(text):
    """The catalogue, with every price a decimal number."""

    def exact(fields):
        return {key: Decimal(value) if key in RATES else value for key, value in fields.items()}

    return json.loads(text, parse_float=Decimal, object_hook=exact)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", type=pathlib.Path, help="the folder of the downloaded packages")
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="print what differs")
    what.add_argument("--write", action="store_true", help="rebuild the catalogue")
    today = datetime.date.today().isoformat()
    options.add_argument("--today", default=today, metavar="YYYY-MM-DD", help="when the sets were looked up")
    asked = options.parse_args()

    wheel = lambda name: next(asked.sets.glob(f"{name.replace('-', '_')}-*.whl"))
    readers = {"genai-prices": read_genai, "litellm": read_litellm}
    sets = {name: read(wheel(name)) for name, read in readers.items()}
    versions = {name: wheel(name).name.split("-")[1] for name in readers}

    before = CATALOGUE.read_text()
    catalogue = parse(before)
    if asked.check:
        asked.today = catalogue["as_of"]
    changed, models = 0, []
    for model in catalogue["models"]:
        new, genai, litellm = rebuilt(model, sets, asked.today)
        models.append(new)
        for name, said in new.get("compared", {}).items():
            if said != "agrees":
                pinned = f" [pinned: {model['pinned']}]" if "pinned" in model else ""
                print(f"{model['id']}: {name} says {said}{pinned}")
        for line in facts_that_differ(model, genai, litellm):
            print(f"{model['id']}: {line}")
        if not genai and not litellm:
            print(f"{model['id']}: in neither set")
        if spelled(new) != spelled(model):
            changed += 1
            print(f"{model['id']}: a rebuild changes this model")
    sources = {**catalogue["sources"], **versions}
    after = document({**catalogue, "as_of": asked.today, "sources": sources, "models": models})
    print(f"{len(models)} models, {changed} that a rebuild changes")
    if asked.write:
        CATALOGUE.write_text(after)
    return 1 if asked.check and after != before else 0


if __name__ == "__main__":
    sys.exit(main())
