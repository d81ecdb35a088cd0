"""The placeholders in issuers of providers."""

import re
from dataclasses import dataclass

from changegate.printable import printable

MAX_SHOWN = 200

_HOST = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]{1,5})?"
_NAME = r"[A-Za-z0-9._~-]+"
UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

OKTA_DOMAIN = r"[a-z0-9-]+\.(?:(?:okta|oktapreview|okta-emea|okta-gov)\.com|okta\.mil)"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A tenant-specific part of an issuer; `shape` is a regular expression for all of it.

    `wrong` has regular expressions of typical mistakes, with an explanation of each.
    """

    name: str
    label: str
    example: str
    shape: str
    wrong: tuple[tuple[str, str], ...] = ()

    def admits(self, value: str) -> bool:
        """Return whether a value has the shape."""
        return re.fullmatch(self.shape, value, re.ASCII) is not None

    def explain(self, value: str) -> str:
        """Return what is wrong with a value that does not have the shape, and what to enter."""
        wrong = next((text for pattern, text in self.wrong if re.fullmatch(pattern, value, re.ASCII)), None)
        if wrong is not None:
            return wrong.format(value=value)
        enter = f"Give the {self.label}, like {self.example}."
        return f"{printable(value, MAX_SHOWN)} does not have the right form. {enter}" if value else enter


PLACEHOLDERS = {
    place.name: place
    for place in (
        Placeholder("host", "Host name, with the port if it is not 443", "git.example.com", _HOST),
        Placeholder(
            "base", "Host name, with the path prefix if there is one", "sso.example.com", rf"{_HOST}(?:/{_NAME})*"
        ),
        Placeholder(
            "issuer_url",
            "Issuer",
            "https://oidc.example.com/cluster-1",
            rf"https://{_HOST}(?:/{_NAME})*/?",
            (
                (rf"{_HOST}(?:/{_NAME})*/?", "The issuer has no https://. Enter https://{value}."),
                (r"http://.*", "The issuer begins with http://. Clusters have issuers with https://."),
            ),
        ),
        Placeholder("enterprise", "Slug of the enterprise", "acme-inc", _NAME),
        Placeholder("subdomain", "Subdomain of ghe.com", "acme", r"[A-Za-z0-9-]+"),
        Placeholder("region", "Region", "eu-central-1", r"[a-z0-9-]+"),
        Placeholder("cluster_id", "ID of the cluster", "EXAMPLED539D4633E53DE1B71EXAMPLE", r"[A-Za-z0-9]+"),
        Placeholder("project", "Google Cloud project", "acme-prod", _NAME),
        Placeholder("location", "Location of the cluster", "europe-west3", r"[a-z0-9-]+"),
        Placeholder("cluster", "Name of the cluster", "deploy", _NAME),
        Placeholder(
            "tenant_id",
            "Directory (tenant) ID",
            "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90",
            UUID,
            ((_HOST, "{value} is not a GUID. Enter the Directory (tenant) ID, which is a GUID, not the domain."),),
        ),
        Placeholder("issuer_id", "ID in the cluster's issuer", "8c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f", UUID),
        Placeholder("domain", "Custom domain", "login.example.com", _HOST),
        Placeholder("auth0_tenant", "Tenant, with its region", "acme.eu", r"[a-z0-9-]+(?:\.[a-z0-9-]+)?"),
        Placeholder("okta_domain", "Okta domain", "acme.okta.com", OKTA_DOMAIN),
        Placeholder("authorization_server", "ID of the custom authorization server", "default", _NAME),
        Placeholder("realm", "Realm", "automation", _NAME),
        Placeholder("email", "Email of the service account", "bot@acme.iam.gserviceaccount.com", rf"{_NAME}@{_NAME}"),
        Placeholder("path", "Path of the access token manager", "oauth/jwks", rf"{_NAME}(?:/{_NAME})*"),
        Placeholder("pingone_region", "Region: com, eu, asia, ca, sg, or com.au", "eu", r"com|eu|asia|ca|sg|com\.au"),
        Placeholder("environment_id", "Environment ID", "3f1d9c2a-0b7e-4c55-8a61-2e9d4f7b6c10", UUID),
        Placeholder("user_pool_id", "User pool ID", "eu-central-1_AbCdEf123", r"[\w-]+"),
        Placeholder("account_uuid", "ID in the account's issuer", "0f9e8d7c-6b5a-4938-8271-605f4e3d2c1b", UUID),
        Placeholder("organization_id", "Organization ID", "7b1e6d0c-2f3a-4c58-9e4d-5a6b7c8d9e0f", UUID),
        Placeholder("folder", "Folder", "payments", rf"{_NAME}(?:/job/{_NAME})*"),
        Placeholder("workspace", "Workspace", "acme", _NAME),
    )
}
