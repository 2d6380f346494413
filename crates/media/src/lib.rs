//! Sans-IO media: RTP, RTCP, codecs, DTMF, jitter buffer, recorder frames, quality.
