"""records/query: only fields with an index can be asked for, and what is new is found late."""

from .errors import bad_request

COMPARATORS = {
    "EQUALS": lambda a, b: a == b, "NOT_EQUALS": lambda a, b: a != b, "LESS_THAN": lambda a, b: a < b,
    "LESS_THAN_OR_EQUALS": lambda a, b: a <= b, "GREATER_THAN": lambda a, b: a > b, "GREATER_THAN_OR_EQUALS": lambda a, b: a >= b,
    "IN": lambda a, b: a in b, "NOT_IN": lambda a, b: a not in b, "BEGINS_WITH": lambda a, b: a.startswith(b),
    "NOT_BEGINS_WITH": lambda a, b: not a.startswith(b), "LIST_CONTAINS": lambda a, b: b in a,
}
SYSTEM = {
    "recordName": lambda record: record.name, "createdTimestamp": lambda record: int(record.created * 1000),
    "modifiedTimestamp": lambda record: int(record.modified * 1000),
}


def value_of(record, name):
    if name in SYSTEM:
        return SYSTEM[name](record)
    return record.fields.get(name, {}).get("value")


def wanted_records(zone, query, settings, now):
    """Names of records, in order."""
    if not query.get("recordType"):
        raise bad_request("missing required field 'recordType'")
    filters, sorts = query.get("filterBy") or [], query.get("sortBy") or []
    filters = filters if isinstance(filters, list) else [filters]
    for name in [one.get("fieldName") for one in filters + sorts] or ["recordName"]:
        if name not in settings.queryable:
            raise bad_request(f"Field '{name}' is not marked queryable")
    found = [
        record for record in zone.records.values()
        if not record.deleted and record.type == query["recordType"] and record.modified + settings.lagSeconds <= now
        and all(passes(record, one) for one in filters)]
    for one in reversed(sorts):
        found.sort(key=lambda record: value_of(record, one["fieldName"]), reverse=not one.get("ascending", True))
    return [record.name for record in found]


def passes(record, filter_):
    compare = COMPARATORS.get(filter_.get("comparator"))
    if not compare:
        raise bad_request(f"Unknown comparator '{filter_.get('comparator')}'")
    value = value_of(record, filter_["fieldName"])
    try:
        return value is not None and compare(value, (filter_.get("fieldValue") or {}).get("value"))
    except TypeError:
        raise bad_request("Field and value have other types") from None
