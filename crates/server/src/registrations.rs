//! Phones' contacts in the store.

use tandem_model::clock;
use tandem_model::ports::{BindingChange, Pending, Registrations, StoreUnavailable, StoredBinding};
use tandem_store::registrations::SaveBindings;
use tandem_store::{Reader, Writer};

/// Registrations over the store.
pub(crate) struct StoredRegistrations {
    reader: Reader,
    writer: Writer,
}

impl StoredRegistrations {
    /// Over a reader and the Writer.
    pub(crate) fn new(reader: Reader, writer: Writer) -> Self {
        Self { reader, writer }
    }
}

impl Registrations for StoredRegistrations {
    fn load(&self) -> Pending<'_, Result<Vec<StoredBinding>, StoreUnavailable>> {
        Box::pin(async move {
            self.reader.bindings(clock::wall()).await.map_err(|error| StoreUnavailable(error.to_string()))
        })
    }

    fn save(&self, changes: Vec<BindingChange>) -> Pending<'_, Result<(), StoreUnavailable>> {
        Box::pin(async move {
            self.writer
                .submit(SaveBindings { changes, at: clock::wall() })
                .await
                .map_err(|error| StoreUnavailable(error.to_string()))
        })
    }
}
