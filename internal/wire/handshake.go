package wire

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/herald-push/herald"
)

// acceptGUID is the constant of RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Version is the only version of the protocol that exists as a standard.
const Version = "13"

// AcceptKey makes the Sec-WebSocket-Accept of a Sec-WebSocket-Key
// (RFC 6455 section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// CheckHandshake checks the client's part of the opening handshake
// (RFC 6455 section 4.2.1) and gives its key. With an error comes the status
// to answer: 400, 405, or 426 where the client would have to speak another
// protocol.
func CheckHandshake(r *http.Request) (key string, status int, err error) {
	const remedy = "Open this address with a WebSocket client."
	switch {
	case r.Method != http.MethodGet:
		return "", http.StatusMethodNotAllowed, herald.Errorf(herald.CodeInvalidRequest, remedy, "a WebSocket is opened with GET")
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return "", http.StatusUpgradeRequired, herald.Errorf(herald.CodeInvalidRequest, "Connect with HTTP/1.1.", "a WebSocket is opened over HTTP/1.1")
	case !HasToken(r.Header, "Upgrade", "websocket") || !HasToken(r.Header, "Connection", "upgrade"):
		return "", http.StatusUpgradeRequired, herald.Errorf(herald.CodeInvalidRequest,
			remedy+" A proxy in between must pass on the headers Upgrade and Connection.", "this is no WebSocket handshake")
	}
	if r.ContentLength != 0 { // -1 for chunks
		return "", http.StatusBadRequest, herald.Errorf(herald.CodeInvalidRequest, "Leave the body out.", "a WebSocket handshake has no body")
	}
	if v := r.Header.Values("Sec-WebSocket-Version"); len(v) != 1 || strings.TrimSpace(v[0]) != Version {
		return "", http.StatusUpgradeRequired, herald.Errorf(herald.CodeInvalidRequest, "Speak version 13.", "the WebSocket version is not 13")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) == 1 {
		key = strings.TrimSpace(keys[0])
	}
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
		return "", http.StatusBadRequest, herald.Errorf(herald.CodeInvalidRequest, remedy, "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return key, 0, nil
}

// RefusalHeader is the header of an answer that refuses a handshake with a status
// of CheckHandshake (RFC 6455 section 4.4).
func RefusalHeader(status int) http.Header {
	h := http.Header{}
	if status == http.StatusUpgradeRequired {
		h.Set("Sec-WebSocket-Version", Version)
		h.Set("Upgrade", "websocket")
	}
	return h
}

// AcceptHeader is the header of the answer to a handshake with a key, but for
// what was chosen of the offers (RFC 6455 section 4.2.2).
func AcceptHeader(key string) http.Header {
	h := http.Header{}
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", AcceptKey(key))
	return h
}

// HasToken reports whether a header that is a list of tokens (RFC 9110
// section 5.6.1) has one, in any case.
func HasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(tokens(h, name), func(t string) bool { return strings.EqualFold(t, token) })
}

// OffersProtocol reports whether the client offered a subprotocol; their names
// are compared as they are written.
func OffersProtocol(h http.Header, name string) bool {
	return slices.Contains(tokens(h, "Sec-WebSocket-Protocol"), name)
}

func tokens(h http.Header, name string) []string {
	var out []string
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimSpace(t); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}
