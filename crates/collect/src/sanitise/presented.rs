//! What the values of a call say of who presented what, gathered while they are replaced.

use outrider_model::{ACCOUNT_FIELD, ApiCall, FORMER_FIELDS, Field, FieldValue, MAPPED_VALUES_MAX, Pseudonym, Text};

use super::finds::Finds;

/// What a call's fields say about who presented what. Headers win over query fields, and names in the order of the settings,
/// because the order of fields in the log is random.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    pub(super) credential: Option<(usize, Pseudonym)>,
    pub(crate) session: Option<Pseudonym>,
    /// The classes of what was replaced.
    pub(crate) finds: Finds,
    /// When the call was received, where it is to say what its values were under a key that was rotated.
    pub(super) received_ms: Option<i64>,
    pub(super) former: FormerNames,
}

/// What values of a call were under the former key.
#[derive(Debug, Default)]
pub(super) struct FormerNames {
    credential: Option<Pseudonym>,
    pub(super) session: Option<Pseudonym>,
    pub(super) account: Option<Pseudonym>,
}

impl Presented {
    /// Of a call that was received then.
    pub(crate) fn at(received_ms: i64) -> Self {
        Presented { received_ms: Some(received_ms), ..Presented::default() }
    }

    /// Says it of a call that has its fields.
    pub(crate) fn tell(self, call: &mut ApiCall<'_>) {
        call.presented_credential = self.credential.map(|(_, pseudonym)| pseudonym);
        call.session = self.session;
        let FormerNames { credential, session, account } = self.former;
        let named = [(PRESENTED_CREDENTIAL, credential), (SESSION, session), (ACCOUNT_FIELD, account)];
        let former = named
            .into_iter()
            .filter_map(|(name, pseudonym)| Some(former_field(name, FieldValue::Pseudonym(pseudonym?, 0))));
        add_former(call, former);
        self.finds.tell(&mut call.exposure);
    }

    pub(super) fn offer(&mut self, rank: usize, pseudonym: Pseudonym, former: Option<Pseudonym>) {
        if self.credential.is_none_or(|(best, _)| rank < best) {
            self.credential = Some((rank, pseudonym));
            self.former.credential = former;
        }
    }
}

const PRESENTED_CREDENTIAL: &str = "presented_credential";
const SESSION: &str = "session";

/// Gives a call what its values were under the former key. One that is full of mapped fields goes without.
pub(super) fn add_former<'a>(call: &mut ApiCall<'a>, former: impl IntoIterator<Item = Field<'a>>) {
    let room = MAPPED_VALUES_MAX.saturating_sub(call.fields.len());
    call.fields.extend(former.into_iter().take(room));
}

/// The field in which a call says what another of its values was under the former key.
pub(super) fn former_field(name: &str, value: FieldValue<'static>) -> Field<'static> {
    Field { name: Text::from(format!("{FORMER_FIELDS}{name}")), value }
}
