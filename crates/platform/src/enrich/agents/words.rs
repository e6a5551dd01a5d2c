//! Words by which programs of a kind are known, in lower case.

use outrider_model::AgentClass;

/// Scanners for weaknesses that say who they are.
#[rustfmt::skip]
const SCANNERS: &[&str] = &[
    "sqlmap", "nikto", "nmap", "nuclei", "wpscan", "acunetix", "nessus", "openvas", "masscan", "zgrab", "gobuster",
    "dirbuster", "dirb", "feroxbuster", "fuzz faster", "ffuf", "wfuzz", "burp", "owasp zap", "zaproxy", "w3af",
    "arachni", "netsparker", "invicti", "qualys", "hydra", "whatweb", "skipfish", "projectdiscovery", "commix",
    "metasploit", "vega/", "grabber", "jaeles", "joomscan", "dirsearch", "restler", "schemathesis", "kiterunner",
    "morfeus", "zmeu", "censysinspect", "expanse", "internetmeasurement", "leakix", "detectify", "tenable", "rapid7",
];

/// Monitors of availability and speed, and health checks.
#[rustfmt::skip]
const MONITORS: &[&str] = &[
    "pingdom", "uptime", "statuscake", "site24x7", "kube-probe", "elb-healthchecker", "googlehc", "healthcheck",
    "health-check", "datadog", "newrelic", "checkly", "hetrixtools", "freshping", "nagios", "check_http", "zabbix",
    "prometheus", "blackbox", "gtmetrix", "catchpoint", "dynatrace", "ruxitsynthetic", "gomez", "icinga",
    "lighthouse", "pagespeed", "monitor", "monitis", "cronless", "webpagetest", "ptst/", "speedcurve", "pulsepoint",
    "updown.io", "watchmouse", "montools", "statuspage", "appdynamics", "synthetic", "grafana", "k6/", "jmeter",
    "gatling",
];

/// Crawlers, feed readers, previews: words that browsers do not have.
#[rustfmt::skip]
const BOTS: &[&str] = &[
    "crawl", "spider", "slurp", "scrap", "fetcher", "feed", "externalhit", "facebookcatalog", "whatsapp",
    "telegrambot", "preview", "archiver", "indexer", "mediapartners", "adsbot", "apis-google", "google-",
    "headlesschrome", "phantomjs", "selenium", "puppeteer", "playwright", "validator", "checker", "linkcheck",
    "robot", "search", "reader", "rss", "http://", "https://", "@", "compatible; +", "webhooks", "scanner",
    "inspector", "analyz", "aggregator", "collector", "snippet", "embedly", "lychee", "wappalyzer", "heritrix",
    "nutch", "ia_archiver", "yandex.com", "proxy/", "imgproxy", "claude-user", "chatgpt-user", "perplexity",
    "gptbot", "-user/", "agent/", "cloudflare-", "discovery", "survey", "research", "finder", "discover", "gather",
    "parser", "thumbnail", "screenshot", "favicon", "website",
];

/// Tools that a person drives.
#[rustfmt::skip]
const TOOLS: &[&str] = &[
    "curl/", "wget", "postmanruntime", "insomnia", "httpie", "powershell", "bruno-runtime", "paw/", "rapidapi",
    "hoppscotch", "thunder client", "swagger-ui", "xh/", "curlie", "aria2", "lynx/", "links (", "w3m/", "elinks",
    "soapui", "intellij http", "vscode-restclient", "git/", "kubectl", "terraform", "ansible", "oha/", "apachebench",
    "hey/", "wrk/", "vegeta",
];

/// Libraries for HTTP, SDKs, and the names that languages give themselves.
#[rustfmt::skip]
const LIBRARIES: &[&str] = &[
    "python-requests", "python-urllib", "python/", "aiohttp", "httpx", "urllib3", "pycurl", "go-http-client",
    "fasthttp", "go-resty", "okhttp", "retrofit", "java/", "apache-httpclient", "apache-httpasyncclient", "jakarta",
    "ahc/", "reactornetty", "feign", "unirest", "axios", "node-fetch", "undici", "got (", "superagent", "node.js",
    "node/", "deno/", "bun/", "php/", "phpcrawl", "guzzle", "symfony", "zend_http", "pear", "libwww-perl", "lwp::",
    "www-mechanize", "perl", "ruby", "faraday", "rest-client", "httparty", "typhoeus", "mechanize", "rust-reqwest",
    "reqwest", "hyper/", "ureq/", "dart/", "dotnet", "restsharp", "winhttp", "wininet", "libcurl", "aws-sdk",
    "aws-cli", "azsdk", "boto", "google-api-", "grpc-", "kong/", "openapi-generator", "swagger-codegen",
    "http_request2", "httpclient", "http-client", "http_client", "httplib", "http.rb", "serf/", "elixir", "erlang",
    "hackney", "finch/", "ktor", "spring", "sdk", "client/",
];

/// What apps on phones and desktops say, unless they say that they are something else.
#[rustfmt::skip]
const APPS: &[&str] = &[
    "cfnetwork", "dalvik", "; ios ", "iphone;", "ipad;", "(iphone", "(android", "android ", "(ios", "electron/",
    "ktor-client", "alamofire", " ios/",
];

/// The class of a header in lower case. Rules that know a family know browsers above all.
pub(super) fn class_of(header: &str, is_known: bool) -> AgentClass {
    let has = |words: &[&str]| words.iter().any(|word| header.contains(word));
    let is_browser_like = header.starts_with("mozilla/") || header.starts_with("opera/");
    match () {
        () if has(SCANNERS) => AgentClass::Scanner,
        () if has(MONITORS) => AgentClass::Monitoring,
        () if is_bot_by_name(header) => AgentClass::Bot,
        () if !is_browser_like && has(TOOLS) => AgentClass::Tool,
        // An app names its library, too.
        () if !is_browser_like && has(APPS) && !has(BOTS) => AgentClass::App,
        () if !is_browser_like && has(LIBRARIES) => AgentClass::Library,
        () if has(BOTS) => AgentClass::Bot,
        () if is_browser_like && is_known => AgentClass::Browser,
        // What an app shows in itself, and no rule knows.
        () if has(APPS) => AgentClass::App,
        () => AgentClass::Unknown,
    }
}

/// The word `bot` at the end of a name. `Cubot` is a phone.
fn is_bot_by_name(header: &str) -> bool {
    header.match_indices("bot").any(|(at, word)| {
        let (before, after) = (&header[..at], &header[at + word.len()..]);
        !after.starts_with(|next: char| next.is_ascii_alphabetic()) && !before.ends_with("cu")
    })
}
