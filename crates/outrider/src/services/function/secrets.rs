//! What a function must know and no configuration says: from the environment, where platforms for functions put secrets, or
//! else from the files that the other services read.

use anyhow::{Context as _, bail};
use outrider_collect::{KongHttpLogConfig, PseudonymKey, SourceSecret};

use super::super::uplink::Token;
use crate::config::Config;

/// The token that `outrider service create` showed, in the place of `platform.token_file`.
const TOKEN_VARIABLE: &str = "OUTRIDER_TOKEN";
/// What is in `pseudonym.key` of the installation.
const KEY_VARIABLE: &str = "OUTRIDER_PSEUDONYM_KEY";
/// What senders carry, in the place of the source's `secret_file`.
pub(super) const SOURCE_VARIABLE: &str = "OUTRIDER_SOURCE_SECRET";

pub(super) struct Secrets {
    pub(super) token: Token,
    pub(super) key: PseudonymKey,
    /// The source's, if it has one.
    pub(super) source: Option<SourceSecret>,
}

impl Secrets {
    pub(super) fn read(
        config: &Config,
        source: &KongHttpLogConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Secrets> {
        let variable =
            |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let file = config.platform.as_ref().and_then(|platform| platform.token_file.clone());
        let token = match (variable(TOKEN_VARIABLE), file) {
            (Some(token), _) => Token::Given(token),
            (None, Some(file)) => Token::File(file),
            (None, None) => bail!("there is no token; set {TOKEN_VARIABLE}, or platform.token_file"),
        };
        let source =
            match (variable(SOURCE_VARIABLE), &source.secret_file) {
                (Some(secret), _) => {
                    let secret = SourceSecret::new(&secret);
                    Some(secret.with_context(|| {
                        format!("{SOURCE_VARIABLE} holds no secret of 16 to 512 visible characters")
                    })?)
                }
                (None, Some(file)) => Some(SourceSecret::load(file)?),
                (None, None) => None,
            };
        Ok(Secrets { token, key: key(config, variable(KEY_VARIABLE))?, source })
    }
}

/// The installation's key. One of this instance's own would give everybody other pseudonyms than the rest of it knows.
fn key(config: &Config, given: Option<String>) -> anyhow::Result<PseudonymKey> {
    if let Some(given) = given {
        let key = PseudonymKey::from_text(&given);
        return key
            .with_context(|| format!("{KEY_VARIABLE} is not the content of a pseudonym.key: 64 hexadecimal digits, and a line for each former key"));
    }
    let path = config.data_dir.join("pseudonym.key");
    if !path.is_file() {
        bail!(
            "there is no {}, and {KEY_VARIABLE} is not set; use the key of the installation's other collectors, or make one \
             with `openssl rand -hex 32`",
            path.display()
        );
    }
    Ok(PseudonymKey::load_or_create(&path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn read(directory: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Secrets> {
        let platform = "[platform]\nurl = 'https://outrider.example:9581'\ntoken_file = 'token'\n";
        let source = "[[collector.sources]]\nkind = 'kong_http_log'\n";
        let file = directory.join("outrider.toml");
        std::fs::write(&file, format!("data_dir = '.'\n{platform}{source}")).unwrap();
        let config = Config::load(&file).unwrap();
        let outrider_collect::SourceConfig::KongHttpLog(source) = &config.collector.sources[0] else { unreachable!() };
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Secrets::read(&config, source, variable)
    }

    #[test]
    fn the_environment_goes_before_files_and_no_key_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let refused = read(directory.path(), &[]).err().unwrap().to_string();
        assert!(refused.contains(KEY_VARIABLE) && refused.contains("pseudonym.key"), "{refused}");
        let key = directory.path().join("pseudonym.key");
        assert!(!key.exists());

        let given = read(directory.path(), &[(KEY_VARIABLE, KEY)]).unwrap();
        assert!(matches!(&given.token, Token::File(file) if file.ends_with("token")) && given.source.is_none());
        std::fs::write(&key, format!("{KEY}\n")).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let of_file =
            read(directory.path(), &[(TOKEN_VARIABLE, " abc\n"), (SOURCE_VARIABLE, "0123456789abcdef")]).unwrap();
        assert_eq!(of_file.key.id(), given.key.id());
        assert!(matches!(&of_file.token, Token::Given(token) if token == "abc") && of_file.source.is_some());
    }

    #[test]
    fn what_is_no_secret_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        for (variables, words) in [
            ([(KEY_VARIABLE, "0123"), (TOKEN_VARIABLE, "t")], KEY_VARIABLE),
            ([(KEY_VARIABLE, KEY), (SOURCE_VARIABLE, "short")], SOURCE_VARIABLE),
        ] {
            let refused = read(directory.path(), &variables).err().unwrap().to_string();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
