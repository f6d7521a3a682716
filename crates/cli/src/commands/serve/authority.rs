//! The authority of an egress that is its applications' HTTPS proxy: made at the first start, kept in a folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ringfence_gateway::EgressAuthority;
use ringfence_model::Clock as _;

use super::SystemClock;
use crate::commands::sandbox::write;
use crate::config::Loaded;
use crate::config::egress::{CA_CERTIFICATE, CA_KEY};
use crate::exit::Failure;

/// Makes the authority that a configuration wants and has not yet.
pub(super) fn make_if_missing(loaded: &mut Loaded) -> Result<(), Failure> {
    let Some(folder) = &loaded.control.ca_folder else { return Ok(()) };
    let Some(egress) = &mut loaded.settings.egress else { return Ok(()) };
    if egress.authority.is_none() {
        let authority = EgressAuthority::new(SystemClock.unix_seconds()).map_err(Failure::unavailable)?;
        keep(folder, &authority)?;
        tracing::info!(
            certificate = %folder.join(CA_CERTIFICATE).display(),
            "the egress has an authority now; applications that use it as their proxy trust this certificate"
        );
        egress.authority = Some(Arc::new(authority));
    }
    Ok(())
}

fn keep(folder: &Path, authority: &EgressAuthority) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure::unavailable(format!("cannot make {}: {error}", folder.display())))?;
    // The key first: a certificate without one would be taken for a folder that somebody broke.
    write(&folder.join(CA_KEY), authority.key_pem(), 0o600)?;
    write(&folder.join(CA_CERTIFICATE), authority.certificate_pem(), 0o644)
}
