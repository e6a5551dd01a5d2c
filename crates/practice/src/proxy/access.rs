//! The plugins that judge a call before it goes on, in Kong's order, each in Kong's words.

use std::sync::Arc;

use serde_json::{Value, json};

use super::configuration::{Acl, Configuration, IpRestriction, KeyAuth, RateLimiting, RequestTermination, Scope};
use super::exchange::{Answer, Exchange};
use crate::core::Core;
use crate::percent;
use crate::schema::{Object, Table};
use crate::store::{id_of, reference};

/// The first plugin that ends the call gives the answer; `None` when it may go on.
///
/// Plugins after that one do not run, but their configuration is still chosen with what is known of the caller.
pub(crate) fn judge(core: &Core, configuration: &Configuration, exchange: &mut Exchange) -> Option<Answer> {
    if let Some((_, config)) = configuration.key_auth.of(&exchange.scope())
        && let Some(refusal) = key_auth(core, &config, exchange)
    {
        return Some(refusal);
    }
    if let Some((_, config)) = configuration.ip_restriction.of(&exchange.scope())
        && let Some(refusal) = ip_restriction(&config, exchange)
    {
        return Some(refusal);
    }
    if let Some((_, config)) = configuration.acl.of(&exchange.scope())
        && let Some(refusal) = acl(core, &config, exchange)
    {
        return Some(refusal);
    }
    if let Some((scope, config)) = configuration.rate_limiting.of(&exchange.scope())
        && let Some(refusal) = rate_limiting(core, &scope, &config, exchange)
    {
        return Some(refusal);
    }
    let (_, config) = configuration.request_termination.of(&exchange.scope())?;
    request_termination(core, &config, exchange)
}

fn key_auth(core: &Core, config: &KeyAuth, exchange: &mut Exchange) -> Option<Answer> {
    if !config.run_on_preflight && exchange.method == "OPTIONS" {
        return None;
    }
    let refusal = match authenticate(core, config, exchange) {
        Ok(()) => return None,
        Err(message) => message,
    };
    if let Some(anonymous) = &config.anonymous {
        let consumer = core.read(|store| store.find(Table::Consumers, anonymous).cloned());
        return match consumer {
            Some(consumer) => {
                set_consumer(exchange, consumer, None);
                None
            }
            None => Some(Answer::error(500, "An unexpected error occurred", &exchange.id)),
        };
    }
    let challenge = config.realm.as_ref().map_or("Key".to_owned(), |realm| format!("Key realm=\"{realm}\""));
    Some(Answer::error(401, refusal, &exchange.id).with("WWW-Authenticate", &challenge))
}

fn authenticate(core: &Core, config: &KeyAuth, exchange: &mut Exchange) -> Result<(), &'static str> {
    let key = presented_key(config, exchange)?;
    let found = core.read(|store| {
        let credential = store.find_by(Table::Keys, "key", &key)?;
        let consumer = store.get(Table::Consumers, reference(credential, "consumer")?)?;
        Some((Arc::clone(consumer), id_of(credential)))
    });
    let (consumer, credential) = found.ok_or("Unauthorized")?;
    set_consumer(exchange, consumer, Some(credential));
    Ok(())
}

/// The key under the first name that has one; it disappears from what goes on when credentials are hidden.
fn presented_key(config: &KeyAuth, exchange: &mut Exchange) -> Result<String, &'static str> {
    let arguments = exchange.arguments();
    for name in &config.key_names {
        let mut keys: Vec<String> = Vec::new();
        if config.key_in_header {
            keys.extend(exchange.headers.all(name).into_iter().map(str::to_owned));
        }
        if keys.is_empty() && config.key_in_query {
            match arguments.get(name) {
                Some(Value::String(key)) => keys.push(key.clone()),
                Some(Value::Array(values)) => keys.extend(values.iter().map(Value::to_string)),
                _ => {}
            }
        }
        match keys.len() {
            0 => continue,
            1 => {
                if config.hide_credentials {
                    exchange.headers.remove(name);
                    exchange.upstream_uri = without_argument(&exchange.upstream_uri, name);
                }
                let key = keys.remove(0);
                return if key.is_empty() { Err("No API key found in request") } else { Ok(key) };
            }
            _ => return Err("Duplicate API key found"),
        }
    }
    Err("No API key found in request")
}

fn without_argument(uri: &str, name: &str) -> String {
    let Some((path, query)) = uri.split_once('?') else {
        return uri.to_owned();
    };
    let is_it = |pair: &&str| percent::decode_form(pair.split('=').next().unwrap_or_default()) == name;
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// The consumer and the headers that tell the service about it.
fn set_consumer(exchange: &mut Exchange, consumer: Arc<Object>, credential: Option<String>) {
    let text = |field: &str| consumer.get(field).and_then(Value::as_str);
    let values = [
        ("x-consumer-id", text("id")),
        ("x-consumer-custom-id", text("custom_id")),
        ("x-consumer-username", text("username")),
        ("x-credential-identifier", credential.as_deref()),
        ("x-anonymous-consumer", credential.is_none().then_some("true")),
    ];
    for (name, value) in values {
        match value {
            Some(value) => exchange.headers.set(name, value),
            None => exchange.headers.remove(name),
        }
    }
    exchange.consumer = Some(consumer);
    exchange.credential = credential;
}

fn ip_restriction(config: &IpRestriction, exchange: &Exchange) -> Option<Answer> {
    let address = exchange.client.ip().to_canonical();
    let denied = config.denied.iter().any(|range| range.contains(address));
    let allowed = config.allowed.is_empty() || config.allowed.iter().any(|range| range.contains(address));
    if !denied && allowed {
        return None;
    }
    let status = config.status.map_or(403, |status| status as u16);
    let message = config.message.clone().unwrap_or_else(|| format!("IP address not allowed: {address}"));
    Some(Answer::error(status, &message, &exchange.id))
}

fn acl(core: &Core, config: &Acl, exchange: &mut Exchange) -> Option<Answer> {
    let Some(consumer) = exchange.consumer.as_deref().map(id_of) else {
        return Some(Answer::error(401, "Unauthorized", &exchange.id));
    };
    let groups: Vec<String> = core.read(|store| {
        let own = store.rows(Table::Groups).filter(|(_, row)| reference(row, "consumer") == Some(&consumer));
        own.filter_map(|(_, row)| row.get("group").and_then(Value::as_str).map(str::to_owned)).collect()
    });
    let is_in = |listed: &[String]| groups.iter().any(|group| listed.contains(group));
    let refused = match (&config.deny, &config.allow) {
        (Some(deny), _) if !deny.is_empty() => is_in(deny),
        (_, Some(allow)) => !is_in(allow),
        _ => false,
    };
    if refused {
        if groups.is_empty() && exchange.credential.is_none() {
            return Some(Answer::error(401, "Unauthorized", &exchange.id));
        }
        return Some(Answer::error(403, "You cannot consume this service", &exchange.id));
    }
    if !config.hide_groups_header && !groups.is_empty() {
        exchange.headers.set("x-consumer-groups", &groups.join(", "));
    }
    None
}

fn rate_limiting(core: &Core, scope: &Scope, config: &RateLimiting, exchange: &mut Exchange) -> Option<Answer> {
    let consumer = exchange.consumer.as_deref().map(id_of);
    let identifier = match config.limit_by.as_str() {
        "consumer" => consumer.or_else(|| exchange.credential.clone()),
        "credential" => exchange.credential.clone(),
        "service" => exchange.service().map(|service| service.id.clone()),
        "header" => config.header_name.as_deref().and_then(|name| exchange.headers.first(name)).map(str::to_owned),
        "path" => {
            let path = exchange.uri.split('?').next().unwrap_or_default();
            (config.path.as_deref() == Some(path)).then(|| path.to_owned())
        }
        _ => None,
    };
    let identifier = identifier.unwrap_or_else(|| exchange.client.ip().to_string());
    let mut rates = core.rates();
    let verdict = rates.judge(config, scope, &identifier, core.clock.now_ms());
    let dropped = rates.take_dropped();
    drop(rates);
    core.tallies.rate_counters_dropped.fetch_add(dropped, std::sync::atomic::Ordering::Relaxed);
    exchange.answer_headers.extend(verdict.headers);
    verdict.stops.then(|| Answer::error(config.error_code as u16, &config.error_message, &exchange.id))
}

fn request_termination(core: &Core, config: &RequestTermination, exchange: &Exchange) -> Option<Answer> {
    if let Some(trigger) = &config.trigger
        && exchange.headers.first(trigger).is_none()
        && !exchange.arguments().contains_key(trigger)
    {
        return None;
    }
    let default = match config.status_code {
        401 => Some("Unauthorized"),
        404 => Some("Not found"),
        405 => Some("Method not allowed"),
        500 => Some("An unexpected error occurred"),
        502 => Some("Bad Gateway"),
        503 => Some("Service unavailable"),
        _ => None,
    };
    let message = config.message.as_deref().or(default);
    if config.echo {
        return Some(Answer::exit(config.status_code, Some(&echo(core, message, exchange))));
    }
    if let Some(body) = &config.body {
        let content_type = config.content_type.as_deref().map(written_content_type);
        return Some(Answer::raw(config.status_code, content_type.as_deref(), body.clone()));
    }
    Some(Answer::exit(config.status_code, message.map(|message| json!({ "message": message })).as_ref()))
}

/// nginx adds its charset to plain texts and escapes what would break the header.
fn written_content_type(configured: &str) -> String {
    match configured {
        "text/html" | "text/plain" => format!("{configured}; charset=UTF-8"),
        other => other.replace('\r', "%0D").replace('\n', "%0A"),
    }
}

fn echo(core: &Core, message: Option<&str>, exchange: &Exchange) -> Value {
    let row = |row: Option<&Arc<Object>>| row.map(|row| crate::log::line::row(row, &core.workspace));
    json!({
        "message": message,
        "kong": { "node_id": core.node_id, "worker_pid": exchange.worker + 1, "hostname": "practice" },
        "request": {
            "scheme": "http",
            "host": exchange.host,
            "port": exchange.port,
            "headers": exchange.headers.shown(),
            "query": exchange.arguments(),
            "raw_body": String::from_utf8_lossy(&exchange.body),
            "method": exchange.method,
            "path": exchange.uri.split('?').next().unwrap_or_default(),
            "uri_captures": {},
        },
        "matched_route": row(exchange.matched.as_ref().map(|matched| &matched.route.row)),
        "matched_service": row(exchange.service().map(|service| &service.row)),
    })
}
