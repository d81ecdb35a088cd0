"""The values that some fields of an integration are chosen from (stored text to label), and limits of fields."""

JWT_BEARER, CLIENT_CREDENTIALS, PASSWORD, ID_TOKEN = "jwt_bearer", "client_credentials", "password", "id_token"
CONNECTION_TYPES = {
    JWT_BEARER: "OAuth - JWT bearer grant",
    CLIENT_CREDENTIALS: "OAuth - Client credentials grant",
    PASSWORD: "OAuth - Resource owner password credential grant",
    ID_TOKEN: "Third party ID token issued by OIDC supporting identity provider",
}
TOKEN_FORMATS = {"opaque": "Opaque", "jwt": "JWT"}
KEY_SOURCES = {"jwks_url": "JWKS URL", "jwks": "Key set", "certificates": "Certificates", "shared_key": "Shared key"}
REUSABLE = "reusable-until-exp"
REPLAY_POLICIES = {
    "jti-required-once": "The unique claim is required, and can be exchanged once",
    "once-if-present": "One token for each assertion, with a unique claim or without",
    REUSABLE: "Reusable until it expires",
}
USER_FIELDS = {"email": "Email", "user_name": "User ID", "employee_number": "Employee number", "sys_id": "Sys ID"}
MAX_CONDITIONS = 50
MAX_ISSUER_LENGTH = 255
MAX_URL_LENGTH = 2048
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
DEFAULT_ALGORITHMS = ["RS256", "ES256"]
