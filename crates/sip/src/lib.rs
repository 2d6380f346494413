//! Sans-IO SIP: messages, transactions, dialogs, digest, registration, SDP.
