"""Another company: an identity provider to demonstrate and test onboarding with."""

from demo_idp.factory import create_app

__all__ = ["create_app"]
