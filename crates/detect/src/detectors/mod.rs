//! The detectors, one folder each, and the one list of them.

pub mod request_spike;

use crate::detector::Detector;
use crate::error::DetectError;
use crate::settings::Settings;

/// Every detector that the settings leave switched on, in the order in which they are asked.
pub(crate) fn registered(settings: &Settings) -> Result<Vec<Box<dyn Detector>>, DetectError> {
    settings.validate()?;
    let mut detectors: Vec<Box<dyn Detector>> = Vec::new();
    if settings.request_spike.enabled {
        detectors.push(Box::new(request_spike::RequestSpike::new(settings.request_spike.clone())?));
    }
    Ok(detectors)
}
