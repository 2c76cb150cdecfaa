"""The SCIM gateway: stands in the DMZ between an identity provider and a SCIM service inside."""

__version__ = "0.1.0"
