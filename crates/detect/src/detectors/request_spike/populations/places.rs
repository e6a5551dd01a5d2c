//! Where populations are: gateways and their workspaces, by number.

use outrider_model::EndpointId;

use super::{Group, Populations};

/// Places (gateway and workspace) at most.
pub(super) const PLACES_MAX: usize = 1_000;

impl Populations {
    /// The number of a gateway and workspace; `None` when there are too many of them.
    pub fn place(&mut self, gateway: &str, workspace: &str) -> Option<u16> {
        let here = |place: &(String, String)| place.0 == gateway && place.1 == workspace;
        if self.places.get(usize::from(self.place_last)).is_some_and(here) {
            return Some(self.place_last);
        }
        let name_of = |place: &u16| {
            let (gateway, workspace) = &self.places[usize::from(*place)];
            (gateway.as_str(), workspace.as_str())
        };
        let place = match self.places_by_name.binary_search_by(|place| name_of(place).cmp(&(gateway, workspace))) {
            Ok(found) => self.places_by_name[found],
            Err(at) if self.places.len() < PLACES_MAX => {
                let place = self.places.len() as u16;
                self.places.push((gateway.to_owned(), workspace.to_owned()));
                self.places_by_name.insert(at, place);
                place
            }
            Err(_) => return None,
        };
        self.place_last = place;
        Some(place)
    }

    /// Each gateway and workspace with the endpoints that there are profiles at.
    pub fn places_with_endpoints(&self) -> impl Iterator<Item = (String, String, Vec<EndpointId>)> {
        self.places.iter().zip(0u16..).map(|((gateway, workspace), number)| {
            let here = self.index.keys().filter(|key| key.place == number);
            let endpoints = here.filter_map(|key| match key.group {
                Group::Endpoint(endpoint, _) => Some(endpoint),
                _ => None,
            });
            (gateway.clone(), workspace.clone(), endpoints.collect())
        })
    }
}
