-- Who signs in with an identity provider, and who that is there. Such a person has an empty password, which nobody can type.
CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    person  TEXT NOT NULL UNIQUE,
    PRIMARY KEY (issuer, subject)
);
