//! Generated values: valid ones of each kind, made by the rules of their issuers, and others that only look like them. The
//! rules are written down here once more and not taken from the product, so that a mistake there shows.

/// A small generator, so that a seed gives the same values everywhere (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn of(&mut self, alphabet: &str, count: usize) -> String {
        (0..count).map(|_| char::from(alphabet.as_bytes()[self.below(alphabet.len() as u64) as usize])).collect()
    }
}

const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Email,
    Phone,
    BarePhone,
    Card,
    PrintedCard,
    Iban,
    SocialSecurity,
    BareSocialSecurity,
    Dni,
    Cpf,
    BareCpf,
    Nir,
    Pesel,
    JsonWebToken,
    ProviderKey,
    PrivateKey,
    Password,
}

impl Kind {
    pub const ALL: [Kind; 17] = [
        Kind::Email,
        Kind::Phone,
        Kind::BarePhone,
        Kind::Card,
        Kind::PrintedCard,
        Kind::Iban,
        Kind::SocialSecurity,
        Kind::BareSocialSecurity,
        Kind::Dni,
        Kind::Cpf,
        Kind::BareCpf,
        Kind::Nir,
        Kind::Pesel,
        Kind::JsonWebToken,
        Kind::ProviderKey,
        Kind::PrivateKey,
        Kind::Password,
    ];

    /// The field that it is planted in.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Email => "contact",
            Kind::BarePhone | Kind::Phone => "phone",
            Kind::Card | Kind::PrintedCard => "card",
            Kind::SocialSecurity | Kind::BareSocialSecurity => "ssn",
            Kind::Cpf | Kind::BareCpf => "cpf",
            Kind::Pesel => "pesel",
            Kind::Password => "password",
            Kind::Iban | Kind::Dni | Kind::Nir | Kind::JsonWebToken | Kind::ProviderKey | Kind::PrivateKey => "q",
        }
    }

    /// The class that it is told to be of.
    pub fn class(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Phone | Kind::BarePhone => "phone",
            Kind::Card | Kind::PrintedCard => "payment_card",
            Kind::Iban => "iban",
            Kind::SocialSecurity | Kind::BareSocialSecurity => "us_ssn",
            Kind::Dni => "es_dni_nie",
            Kind::Cpf | Kind::BareCpf => "br_cpf",
            Kind::Nir => "fr_nir",
            Kind::Pesel => "pl_pesel",
            Kind::JsonWebToken => "json_web_token",
            Kind::ProviderKey => "api_key",
            Kind::PrivateKey => "private_key",
            Kind::Password => "password",
        }
    }

    /// Nothing but the name beside it tells it from an id.
    pub fn needs_name(self) -> bool {
        matches!(self, Kind::BarePhone | Kind::BareSocialSecurity | Kind::BareCpf | Kind::Pesel | Kind::Password)
    }

    pub fn is_credential_by_name(self) -> bool {
        self == Kind::Password
    }
}

/// A value to look for.
pub struct Planted {
    pub text: String,
    /// The part of it that says who it is.
    pub core: String,
    /// The form in which it joins with others of the same, for personal values.
    pub canonical: Option<String>,
}

pub fn planted(kind: Kind, random: &mut Random) -> Planted {
    let digits_of = |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).collect() };
    let text = text_of(kind, random);
    let canonical = match kind {
        Kind::Email => Some(text.to_lowercase()),
        Kind::Phone => Some(format!("+{}", digits_of(&text))),
        Kind::BarePhone => Some(format!("+{text}")),
        Kind::JsonWebToken | Kind::ProviderKey | Kind::PrivateKey | Kind::Password => None,
        _ => Some(digits_of(&text).to_uppercase()),
    };
    let core = match kind {
        Kind::Email => text.split('@').next().unwrap_or_default().to_owned(),
        Kind::PrivateKey => text.split('\n').nth(1).unwrap_or_default().to_owned(),
        _ => text.clone(),
    };
    Planted { text, core, canonical }
}

fn text_of(kind: Kind, random: &mut Random) -> String {
    match kind {
        Kind::Email => {
            let (local, host) = (random.of("abcdefghijkmnopqrstuvwxyzABC", 9), random.of("abcdefghij", 5));
            format!("{local}.{}@{host}.Example", random.digits(3))
        }
        Kind::Phone => format!("+49 151 {}{}", 1 + random.below(9), random.digits(7)),
        Kind::BarePhone => format!("49151{}{}", 1 + random.below(9), random.digits(7)),
        Kind::Card => card(random),
        Kind::PrintedCard => {
            let number = card(random);
            let separator = if random.below(2) == 0 { " " } else { "-" };
            [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(separator)
        }
        Kind::Iban => iban(random),
        Kind::SocialSecurity => {
            format!("{}-{:02}-{:04}", 200 + random.below(400), 1 + random.below(99), 1 + random.below(9998))
        }
        Kind::BareSocialSecurity => {
            format!("{}{:02}{:04}", 200 + random.below(400), 1 + random.below(99), 1 + random.below(9998))
        }
        Kind::Dni => {
            let number = 10_000_000 + random.below(90_000_000);
            format!("{number}{}", char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[(number % 23) as usize]))
        }
        Kind::Cpf => {
            let bare = cpf(random);
            format!("{}.{}.{}-{}", &bare[..3], &bare[3..6], &bare[6..9], &bare[9..])
        }
        Kind::BareCpf => cpf(random),
        Kind::Nir => {
            let number = format!(
                "{}{:02}{:02}{}",
                1 + random.below(2),
                random.below(100),
                1 + random.below(12),
                random.digits(8)
            );
            let value: u64 = number.parse().unwrap_or_default();
            format!("{number}{:02}", 97 - value % 97)
        }
        Kind::Pesel => {
            let number = format!(
                "{:02}{:02}{:02}{}",
                random.below(100),
                1 + random.below(12),
                1 + random.below(28),
                random.digits(4)
            );
            let sum: u32 = number
                .bytes()
                .zip([1, 3, 7, 9].into_iter().cycle())
                .map(|(digit, weight)| u32::from(digit - b'0') * weight)
                .sum();
            format!("{number}{}", (10 - sum % 10) % 10)
        }
        Kind::JsonWebToken => {
            format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", random.of(ALPHANUMERIC, 30), random.of(ALPHANUMERIC, 43))
        }
        Kind::ProviderKey => format!("ghp_{}7", random.of(ALPHANUMERIC, 35)),
        Kind::PrivateKey => {
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", random.of(ALPHANUMERIC, 64))
        }
        Kind::Password => random.of(ALPHANUMERIC, 14),
    }
}

fn card(random: &mut Random) -> String {
    let number = format!("{}{}", ["4", "51", "55", "6011", "3530"][random.below(5) as usize], random.digits(15));
    let number = &number[..15];
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') * if index % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

fn iban(random: &mut Random) -> String {
    let account = random.digits(18);
    // `DE00` behind the account, with letters as numbers from ten on.
    let rest = format!("{account}131400").bytes().fold(0u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{account}", 98 - rest)
}

fn cpf(random: &mut Random) -> String {
    let mut number = random.digits(9);
    for length in [9u32, 10] {
        let sum: u32 =
            number.bytes().zip((2..=length + 1).rev()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        number.push(char::from(b'0' + (sum * 10 % 11 % 10) as u8));
    }
    number
}

/// Ids, times, hashes and words as APIs have them.
pub fn benign(random: &mut Random) -> Vec<String> {
    let (high, low) = (random.draw(), random.draw());
    vec![
        format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", high >> 32, high & 0xffff, low >> 52, low & 0xfff, low >> 16),
        format!("{high:016x}{low:016x}"),
        format!("{high:016x}{low:016x}{high:08x}"),
        format!("{:024x}", u128::from(high) << 32 | u128::from(low >> 32)),
        random.below(10_000_000_000).to_string(),
        random.below(1_000_000_000_000).to_string(),
        (600_000_000_000_000_000 + random.below(900_000_000_000_000_000)).to_string(),
        (1_600_000_000 + random.below(300_000_000)).to_string(),
        (1_600_000_000_000 + random.below(300_000_000_000)).to_string(),
        format!("2026-{:02}-{:02}T{:02}:{:02}:{:02}Z", 1 + high % 12, 1 + low % 28, high % 24, low % 60, high % 60),
        format!("2026{:02}{:02}-{:02}{:02}", 1 + high % 12, 1 + low % 28, high % 24, low % 60),
        format!("ORD-{}-{:06}", 2000 + high % 30, low % 1_000_000),
        format!("10.{}.{}.{}", low % 256, high % 256, (low >> 8) % 256),
        format!("v{}.{}.{}-rc.{}", high % 20, low % 40, high % 99, low % 9),
        format!("{}-{}-{}", random.of("abcdefgh", 6), random.of("ijklmnop", 5), random.of("qrstuvw", 7)),
        random.of("ABCDEFGHJKMNPQRSTVWXYZ0123456789", 26),
        random.of(ALPHANUMERIC, 22),
        format!("obj_{}", random.of(ALPHANUMERIC, 14)),
    ]
}
