"""Single sign-on of `make demo`."""

from sqlalchemy import select

from changegate.extensions import db
from changegate.models import SysUserIdentity
from changegate.seed import seed_demo, seed_demo_sign_on
from tests.conftest import ADMIN_PASSWORD
from tests.console.single_sign_on.conftest import MARIA, NADIA, SignOnDesk, Window


def seed(desk: SignOnDesk, issuer: str) -> list[str]:
    """Set up the demo, and return the issuers of the identities of its people."""
    with desk.app.app_context():
        seed_demo(admin_password=ADMIN_PASSWORD)
        seed_demo_sign_on(issuer)
        db.session.commit()
        names = select(SysUserIdentity.issuer).where(SysUserIdentity.subject.like("demo-%"))
        return list(db.session.execute(names).scalars())


def test_people_of_the_demo_sign_in_whatever_its_port(desk: SignOnDesk, window: Window, other_window: Window) -> None:
    desk.delete("oidc_provider_configuration", desk.provider)
    desk.delete("sys_user", desk.records["maria"])
    assert seed(desk, "http://127.0.0.1:9999") == ["http://127.0.0.1:9999"] * 3
    assert seed(desk, desk.idp) == seed(desk, desk.idp) == [desk.idp] * 3
    window.sign_on(MARIA)
    assert window.name == "maria.keller"
    other_window.sign_on(NADIA)
    nadia = desk.user("nadia.berg").sys_id
    assert (desk.roles(nadia), desk.groups(nadia)) == ({"itil"}, {"Web Platform"})
