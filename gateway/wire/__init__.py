"""HTTP as a language: request targets, header fields, media types. Pure."""
