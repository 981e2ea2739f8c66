package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire"
	"github.com/herald-push/herald/internal/wire/packet"
)

// The reserved topics: pushes come on the first, which needs no subscription, and
// what became of them is published to the second.
const (
	pushTopic    = "herald/push"
	receiptTopic = "herald/receipt"
)

// The content types of pushes.
const (
	jsonType = "application/json"
	textType = "text/plain; charset=utf-8"
)

// packetID is the packet ID of what stands at a position of the log: the same in
// every session, and after a restart. The client can number no more than that.
func packetID(pos herald.Pos) uint16 { return uint16(1 + pos%0xFFFF) }

// Encode makes a PUBLISH of a release: with QoS 1 and the packet ID of its
// position, or with QoS 0 if it has none.
func (t *Transport) Encode(r live.Release) live.Frame {
	var payload []byte
	if t.text {
		payload = textOf(r)
	} else {
		payload = live.ReleaseJSON(r)
	}
	return t.pushFrame(payload, r.Pos)
}

// notice makes a PUBLISH with QoS 0 of what the server says.
func (t *Transport) notice(c live.Control) live.Frame {
	payload := live.ControlJSON(c)
	if t.text {
		if payload = []byte("reconnect " + strconv.FormatInt(c.After.Milliseconds(), 10)); c.Kind == live.Problem {
			payload = []byte("error " + string(c.Err.Code) + "\n" + c.Err.Message)
		}
	}
	return t.pushFrame(payload, 0)
}

func (t *Transport) pushFrame(payload []byte, pos herald.Pos) live.Frame {
	p := packet.Publish{Topic: pushTopic, Payload: payload}
	if pos != 0 {
		p.QoS, p.ID = 1, packetID(pos)
	}
	if t.version >= packet.V5 {
		text := byte(1)
		p.Props.PayloadFormat, p.Props.ContentType = &text, jsonType
		if t.text {
			p.Props.ContentType = textType
		}
	}
	return frame(&p, t.version)
}

// textOf writes a release as plain text: its kind and ID on the first line, the
// title on the second, and the body behind it. A message without a notification
// has its data in place of the body, as it stands if that is a string.
func textOf(r live.Release) []byte {
	var line struct {
		Notification *herald.Notification `json:"notification"`
		Data         json.RawMessage      `json:"data"`
	}
	out := []byte(live.ReleaseType(r.Kind) + " " + r.Msg.ID.String())
	if r.Kind != record.ReleaseMessage || json.Unmarshal(live.ReleaseJSON(r), &line) != nil {
		return out
	}
	title, body := "", ""
	switch n := line.Notification; {
	case n != nil:
		title, body = n.Title, n.Body
	case json.Unmarshal(line.Data, &body) != nil:
		body = string(line.Data)
	}
	out = append(append(out, '\n'), strings.Join(strings.FieldsFunc(title, newline), " ")...)
	return append(append(out, '\n'), body...)
}

func newline(r rune) bool { return r == '\n' || r == '\r' }

// SendRelease queues a release: see live.Numbered. What has no position is not
// acknowledged.
func (c *conn) SendRelease(f live.Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error {
	if !c.takes(f) {
		return nil // as if it were delivered (MQTT-3.1.2-25)
	}
	if pos == 0 {
		return c.Send(f)
	}
	return c.exchange().push(f, kind, id, pos)
}

// receipt acts on what a client publishes to herald/receipt: what became of
// messages, as {"event":"displayed","ids":["1"]} or as the words displayed 1. It
// gives the code for the answer, and why.
func (c *conn) receipt(payload []byte) (packet.Code, string) {
	what, ids, err := parseReceipt(payload)
	if err == nil {
		if e := c.session.Event(what, ids); e != nil {
			err = e
		}
	}
	if err == nil {
		return packet.Success, ""
	}
	c.broker().config.Log.Debug("a receipt over MQTT was refused", "error", err)
	code := packet.PayloadFormatInvalid
	if herald.CodeOf(err) == herald.CodeConflict {
		code = packet.UnspecifiedError
	}
	return code, messageOf(err)
}

// parseReceipt reads a receipt.
func parseReceipt(b []byte) (herald.DeliveryState, []herald.MessageID, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] == '{' {
		f, err := live.ParseReceipt(b)
		if errors.Is(err, live.ErrNotFrame) {
			err = herald.Invalid("event", `Publish {"event":"displayed","ids":["1"]} or the words: displayed 1`, "that is no receipt")
		}
		return f.Event, f.IDs, err
	}
	words := strings.Fields(string(b))
	if len(words)-1 > herald.MaxIDsPerCall {
		return "", nil, herald.Invalid("ids", "Publish several receipts.", "%d IDs are more than %d", len(words)-1, herald.MaxIDsPerCall)
	}
	var ids []herald.MessageID
	for _, w := range words[1:] {
		id, err := herald.ParseMessageID(w)
		if err != nil {
			return "", nil, herald.Invalid("ids", "Write the IDs of messages after the event, with spaces between.", "%.24q is not a message ID", w)
		}
		ids = append(ids, id)
	}
	return herald.DeliveryState(words[0]), ids, nil
}

// reason gives the properties of an answer that say why, if the client wants
// reasons.
func (c *conn) reason(why string) (p packet.Properties) {
	if c.problems && c.version >= packet.V5 {
		p.Reason = why
	}
	return p
}

// codes are those of MQTT for the reasons of the hub, before and after the
// CONNACK.
var codes = map[int][2]packet.Code{
	live.CloseBadToken:  {packet.BadUserNameOrPassword, packet.NotAuthorized},
	live.CloseForbidden: {packet.NotAuthorized, packet.NotAuthorized},
	live.CloseHeartbeat: {packet.ServerBusy, packet.KeepAliveTimeout},
	live.CloseReplaced:  {packet.QuotaExceeded, packet.QuotaExceeded},
	live.CloseSlow:      {packet.QuotaExceeded, packet.QuotaExceeded},
	live.CloseDraining:  {packet.ServerUnavailable, packet.ServerShuttingDown},
	live.CloseProtocol:  {packet.ProtocolError, packet.ProtocolError},
	live.CloseTooMany:   {packet.ServerBusy, packet.ServerBusy},
}

// Farewell is the last packet: a CONNACK that refuses or a DISCONNECT, as far as
// the version has them, and over WebSocket the close frame behind it.
func (c *conn) Farewell(why live.Reason) live.Frame {
	c.mu.Lock()
	v, welcomed, silent := c.version, c.welcomed, c.silent
	c.silent = true
	c.mu.Unlock()
	var f live.Frame
	if !silent && v != 0 && (why.Code < 0x100 || why.Code >= 4000) {
		f = c.lastPacket(why, v, welcomed)
	}
	if c.ws == nil {
		if len(f) > 0 {
			f = packetIn(f)
		}
		return f
	}
	code := why.Code
	if code < 1000 || code >= 4000 {
		code = wire.CloseNormal
	}
	return wire.AppendClose(f, code, "")
}

// lastPacket says why. The code of the other transports, where there is one, goes
// along as a user property (MQTT 5.0 sections 3.2.2.3.10 and 3.14.2.2.4 allow both
// whatever the client has said of problem information).
func (c *conn) lastPacket(why live.Reason, v packet.Version, welcomed bool) live.Frame {
	code := packet.Code(why.Code)
	if pair, ok := codes[why.Code]; ok {
		if code = pair[0]; welcomed {
			code = pair[1]
		}
	}
	var props packet.Properties
	if v >= packet.V5 {
		if c.problems {
			props.Reason = why.Text
		}
		if why.Code >= 4000 {
			props.User = []packet.Pair{{Name: "close", Value: strconv.Itoa(why.Code)}}
		}
	}
	for {
		f := lastFrame(code, props, v, welcomed)
		if len(f) == 0 || c.takes(f) || props.Reason == "" && props.User == nil {
			return f
		}
		props = packet.Properties{}
	}
}

func lastFrame(code packet.Code, props packet.Properties, v packet.Version, welcomed bool) live.Frame {
	switch {
	case !welcomed:
		return frame(&packet.Connack{Code: code, Props: props}, v)
	case v >= packet.V5:
		return frame(&packet.Disconnect{Code: code, Props: props}, v)
	}
	return nil
}
