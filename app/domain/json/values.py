"""Types of parsed JSON: an isinstance test narrows a JsonValue to what it holds."""

# imported by the supervisor: no typing, which it lacks
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]
