//! `[access]`: how people sign in, besides with a password.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use outrider_platform::oidc::{CALL_TIME_MAX, Oidc, OidcSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ApiConfig;

/// How people sign in, besides with a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// With an identity provider, by OpenID Connect.
    pub oidc: Option<OidcSettings>,
}

impl AccessConfig {
    /// The identity provider; reads the files that it needs.
    pub fn oidc(&self) -> anyhow::Result<Option<Arc<Oidc>>> {
        let Some(settings) = &self.oidc else { return Ok(None) };
        let oidc = Oidc::new(settings.clone(), CALL_TIME_MAX).context("access.oidc cannot be used")?;
        Ok(Some(Arc::new(oidc)))
    }

    /// The files that it names.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.oidc.iter_mut().flat_map(|oidc| oidc.client_secret_file.iter_mut().chain(&mut oidc.ca_file))
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self, api: &ApiConfig) -> anyhow::Result<()> {
        let Some(oidc) = &self.oidc else { return Ok(()) };
        oidc.validate()?;
        // Cookies are made for one of the two, and a browser that sees the other does not bring them back.
        let (is_https, url) = (!api.behind_proxy.is_empty() || api.certificate_file.is_some(), &oidc.public_url);
        ensure!(
            is_https || !url.starts_with("https"),
            "access.oidc.public_url `{url}` is `https`, and the API has no TLS; set api.behind_proxy to the \
             addresses of the proxy in front that does, or api.certificate_file and api.key_file"
        );
        ensure!(
            !is_https || url.starts_with("https"),
            "access.oidc.public_url `{url}` is `http`, and the API is reached by TLS; write it with `https`"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn sign_in_with_a_provider_is_checked() {
        let good = "[access.oidc]\nissuer = 'https://sso.example/realms/main'\nclient_id = 'outrider'\n\
                    public_url = 'http://127.0.0.1:9580'\n[[access.oidc.roles]]\nclaim = 'groups'\nvalue = 'sec'\nrole = 'analyst'\n";
        let tls = |url: &str| good.replace("http://127.0.0.1:9580", url) + "[api]\nbehind_proxy = '127.0.0.1'\n";
        let cases = [
            (good.to_owned(), ""),
            (tls("https://outrider.example"), ""),
            (tls("http://localhost"), "the API is reached by TLS; write it with `https`"),
            (good.replace("http://127.0.0.1:9580", "https://outrider.example"), "set api.behind_proxy"),
            (
                good.replace("https://sso", "http://sso"),
                "access.oidc.issuer `http://sso.example/realms/main`: use `https`",
            ),
            (good.replace("'analyst'", "'analist'"), "did you mean `analyst`?"),
            (good.replace("client_id", "client"), "did you mean `client_id`?"),
            (good.split("[[").next().unwrap().to_owned(), "missing field `roles`"),
            (good.replace("value = 'sec'\n", ""), "missing field `value`"),
        ];
        for (text, words) in cases {
            match Config::parse(&text) {
                Ok(config) => {
                    assert_eq!(words, "", "{text}");
                    assert!(config.sections.contains("access"), "{text}");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    assert!(!words.is_empty() && error.contains(words), "{text}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_documented_providers_are_valid() {
        let page = include_str!("../../../../docs/access.md");
        let blocks = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap());
        let blocks: Vec<_> = blocks.filter(|block| block.contains("[access.oidc]")).collect();
        assert_eq!(blocks.len(), 3, "Keycloak, Entra ID and Google");
        let example = include_str!("../../../../docs/outrider.example.toml");
        let commented = example.lines().skip_while(|line| *line != "# [access.oidc]");
        let example: Vec<_> = commented.map_while(|line| line.strip_prefix('#')).collect();
        for block in blocks.into_iter().chain([example.join("\n").as_str()]) {
            let config = Config::parse(&format!("{block}\n[api]\nbehind_proxy = '127.0.0.1'\n")).unwrap();
            assert!(config.access.oidc.is_some(), "{block}");
        }
    }
}
