package mqtt

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire/packet"
)

// Limits of what clients publish.
const (
	// legacyMaximum is the ReceiveMaximum of clients before 5.0, which are not told.
	legacyMaximum = 4096
	// longestDelay is how long the acknowledgement of what comes too fast is kept
	// back at most.
	longestDelay = 30 * time.Second
)

// incoming is what the client publishes, as far as it is not done with.
type incoming struct {
	aliases []string // by alias, less one
	// answers are the acknowledgements that are owed, in the order of the PUBLISH
	// packets (MQTT-4.6.0-2, MQTT-4.6.0-3); the first has the number first.
	answers []answer
	first   uint64
	taken   []uint16    // packet IDs of QoS 2 that were taken, until PUBREL
	debt    time.Time   // until then the client has published ahead of its rate
	timer   *time.Timer // nil, or set for the first answer
}

// answer is an acknowledgement that is owed.
type answer struct {
	id   uint16
	kind packet.Type // PUBACK or PUBREC
	code packet.Code
	why  string // it was refused
	done bool
	at   time.Time // not before
}

// incoming gives what there is of the client, from now on; the lock is held.
func (x *exchange) incoming() *incoming {
	if x.in == nil {
		x.in = &incoming{}
	}
	return x.in
}

// publish takes a PUBLISH of the client. An error closes the connection.
func (x *exchange) publish(p *packet.Publish) error {
	if len(p.Props.SubscriptionIDs) > 0 { // MQTT-3.3.4-6
		return violation("a client sends no subscription identifier")
	}
	if err := x.resolve(p); err != nil {
		return err
	}
	if p.QoS == 0 {
		return x.publishOnce(p)
	}
	n, again, err := x.owe(p)
	if err != nil || again {
		return err
	}
	if code, text := x.judge(p); code.Failed() {
		return x.refuse(n, code, text)
	}
	if p.Topic == receiptTopic {
		code, why := x.c.receipt(p.Payload)
		return x.refuse(n, code, why)
	}
	who := x.who()
	out := x.publication(who, p)
	if x.keep != nil && p.QoS == 2 {
		out.In = p.ID
	}
	who.hub.PublishThen(who.device.App, out, func(devices int, err error) { x.passedOn(n, devices, err) })
	return nil
}

// resolve puts the topic in the place of an alias (MQTT 5.0 section 3.3.2.3.4).
func (x *exchange) resolve(p *packet.Publish) error {
	if p.Props.TopicAlias == nil {
		return nil
	}
	alias := int(*p.Props.TopicAlias)
	if alias == 0 || alias > TopicAliasMaximum {
		return &packet.Error{Code: packet.TopicAliasInvalid, Text: "the alias is 0 or above the maximum"}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	in := x.incoming()
	if p.Topic != "" {
		if len(in.aliases) < alias {
			in.aliases = append(in.aliases, make([]string, alias-len(in.aliases))...)
		}
		in.aliases[alias-1] = p.Topic
		return nil
	}
	if alias > len(in.aliases) || in.aliases[alias-1] == "" {
		return violation("the alias stands for no topic")
	}
	p.Topic = in.aliases[alias-1]
	return nil
}

// publishOnce publishes with QoS 0. Where the client cannot be told that it was
// refused, it is counted, unless the packet is wrong in itself.
func (x *exchange) publishOnce(p *packet.Publish) error {
	code, text := x.judge(p)
	switch code {
	case packet.Success:
	case packet.QuotaExceeded: // MQTT-3.3.4-7 leaves PUBACK no code for it, DISCONNECT has one
		return &packet.Error{Code: packet.PacketTooLarge, Text: text}
	case packet.NotAuthorized:
		x.c.refused()
		return nil
	default:
		return &packet.Error{Code: code, Text: text}
	}
	x.mu.Lock()
	in := x.incoming()
	ahead := in.spend(time.Now(), x.c.broker().config.PublishRate)
	x.unlock()
	if ahead > 0 {
		x.c.refused()
		return nil
	}
	if p.Topic == receiptTopic {
		_, _ = x.c.receipt(p.Payload)
		return nil
	}
	who := x.who()
	who.hub.Publish(who.device.App, x.publication(who, p))
	return nil
}

// spend takes one from what may be published at a rate, with twice as much at
// once, and tells how far ahead of it that is.
func (in *incoming) spend(now time.Time, perSecond int) (ahead time.Duration) {
	each := time.Second / time.Duration(max(perSecond, 1))
	if in.debt.Before(now) {
		in.debt = now
	}
	if ahead = in.debt.Sub(now) + each - 2*time.Second; ahead > 0 {
		return ahead
	}
	in.debt = in.debt.Add(each)
	return 0
}

// owe notes that a PUBLISH with QoS 1 or 2 is to be answered, and gives the number
// of that answer. again says that the publication was taken before.
func (x *exchange) owe(p *packet.Publish) (n uint64, again bool, err error) {
	x.mu.Lock()
	defer x.unlock()
	in := x.incoming()
	if p.QoS == 2 && faults.Planted("takes_again") {
		in.taken = slices.DeleteFunc(in.taken, func(id uint16) bool { return id == p.ID && !in.owes(id) })
	}
	if p.QoS == 2 && slices.Contains(in.taken, p.ID) {
		if !in.owes(p.ID) {
			x.answer(packet.PUBREC, p.ID, packet.Success) // MQTT-4.3.3-10
		}
		return 0, true, nil
	}
	if in.owes(p.ID) || slices.Contains(in.taken, p.ID) {
		if p.Dup {
			return 0, true, nil // the answer is on its way
		}
		return 0, false, violation("the packet identifier is in use") // MQTT-2.2.1-4
	}
	most, code := ReceiveMaximum, packet.ReceiveMaximumExceeded
	if x.c.version < packet.V5 {
		most = legacyMaximum
	}
	if in.open() >= most {
		return 0, false, &packet.Error{Code: code, Text: "more publications are under way than the receive maximum"}
	}
	now := time.Now()
	a := answer{id: p.ID, kind: packet.PUBACK, at: now}
	if ahead := in.spend(now, x.c.broker().config.PublishRate); ahead > 0 {
		if ahead > longestDelay {
			return 0, false, &packet.Error{Code: packet.MessageRateTooHigh, Text: "publishes far ahead of its rate"}
		}
		in.debt = in.debt.Add(time.Second / time.Duration(max(x.c.broker().config.PublishRate, 1)))
		a.at = now.Add(ahead)
	}
	if p.QoS == 2 {
		a.kind = packet.PUBREC
		in.taken = append(in.taken, p.ID)
	}
	in.answers = append(in.answers, a)
	return in.first + uint64(len(in.answers)) - 1, false, nil
}

// owes reports whether a PUBLISH with an identifier is not answered yet.
func (in *incoming) owes(id uint16) bool {
	return slices.ContainsFunc(in.answers, func(a answer) bool { return a.id == id })
}

// open is how many publications are under way as the client counts them: those
// of QoS 2 until PUBCOMP (MQTT-3.3.4-7).
func (in *incoming) open() int {
	n := len(in.taken)
	for i := range in.answers {
		if in.answers[i].kind == packet.PUBACK {
			n++
		}
	}
	return n
}

// judge tells whether what a client publishes is taken, and else why not.
func (x *exchange) judge(p *packet.Publish) (packet.Code, string) {
	if len(p.Payload) > herald.MaxMessageBytes {
		return packet.QuotaExceeded, "the payload is larger than 32 KiB"
	}
	if f := p.Props.PayloadFormat; f != nil && *f == 1 && !utf8.Valid(p.Payload) {
		return packet.PayloadFormatInvalid, "the payload is not UTF-8" // MQTT-3.3.2-4
	}
	if p.Topic == receiptTopic {
		return packet.Success, ""
	}
	if err := herald.ValidTopic("topic", p.Topic); err != nil {
		return packet.TopicNameInvalid, messageOf(err)
	}
	who := x.who()
	if err := who.hub.MayUse(x.device(), herald.TopicPublish, herald.Topic(p.Topic)); err != nil {
		return codeOf(err), messageOf(err)
	}
	return packet.Success, ""
}

// publication makes a publication of a packet, whose bytes are not ours to keep.
func (x *exchange) publication(who *identity, p *packet.Publish) live.Publication {
	now := time.Now()
	out := live.Publication{
		Topic: herald.Topic(p.Topic), From: who.device.ID, Time: now, Payload: append([]byte{}, p.Payload...),
		QoS: byte(p.QoS), Retain: p.Retain, Client: who.client,
	}
	v := &p.Props
	if v.MessageExpiry != nil {
		out.Expires = now.Add(time.Duration(*v.MessageExpiry) * time.Second)
	}
	if v.PayloadFormat != nil || v.ContentType != "" || v.ResponseTopic != "" || v.CorrelationData != nil || len(v.User) > 0 {
		props := &live.PublicationProps{
			PayloadFormat: v.PayloadFormat, ContentType: v.ContentType, ResponseTopic: v.ResponseTopic, CorrelationData: bytes.Clone(v.CorrelationData),
		}
		for _, u := range v.User {
			props.User = append(props.User, live.UserProperty{Name: u.Name, Value: u.Value})
		}
		out.Props = props
	}
	return out
}

// refuse answers a publication with QoS 1 or 2 that was not taken. A client before
// 5.0 cannot be told: what the rules of the app do not allow is acknowledged and
// not done, as other servers do; for what would never be right it is closed.
func (x *exchange) refuse(n uint64, code packet.Code, text string) error {
	if x.c.version < packet.V5 && code.Failed() {
		if code != packet.NotAuthorized && code != packet.PayloadFormatInvalid {
			return &packet.Error{Code: code, Text: text}
		}
		x.c.refused()
		code = packet.Success
	}
	x.settle(n, code, text)
	return nil
}

// passedOn is told what became of a publication.
func (x *exchange) passedOn(n uint64, devices int, err error) {
	code := packet.Success
	switch {
	case err != nil:
		code = codeOf(err)
		if x.c.version < packet.V5 {
			// It is published again when the client is back.
			x.fail(&packet.Error{Code: packet.ServerBusy, Text: "the publication cannot be stored now"})
			return
		}
	case devices == 0 && x.c.version >= packet.V5:
		code = packet.NoMatchingSubscribers
	}
	x.settle(n, code, "")
}

// settle notes what to answer to a PUBLISH, and answers as many as are done, in
// their order.
func (x *exchange) settle(n uint64, code packet.Code, why string) {
	x.mu.Lock()
	defer x.unlock()
	in := x.in
	if n < in.first || n-in.first >= uint64(len(in.answers)) {
		return // the connection was closed
	}
	a := &in.answers[n-in.first]
	a.done, a.code, a.why = true, code, why
	if code.Failed() && a.kind == packet.PUBREC {
		in.forget(a.id) // MQTT 5.0 section 4.3.3: the identifier is free again
	}
	x.flush()
}

// forget gives a packet identifier of QoS 2 up.
func (in *incoming) forget(id uint16) bool {
	i := slices.Index(in.taken, id)
	if i < 0 {
		return false
	}
	if in.taken = slices.Delete(in.taken, i, i+1); len(in.taken) == 0 {
		in.taken = nil
	}
	return true
}

// flush sends the answers that are due; the lock is held.
func (x *exchange) flush() {
	in := x.in
	for len(in.answers) > 0 && in.answers[0].done && !x.over {
		a := in.answers[0]
		if wait := time.Until(a.at); wait > 0 {
			in.wake(x, wait)
			return
		}
		x.answerWhy(&a)
		in.answers = in.answers[1:]
		in.first++
	}
	if len(in.answers) == 0 {
		in.answers = nil
	}
}

// wake has the answers looked at again after a while.
func (in *incoming) wake(x *exchange, after time.Duration) {
	if in.timer != nil {
		return
	}
	in.timer = time.AfterFunc(after, func() {
		x.mu.Lock()
		defer x.unlock()
		in.timer = nil
		x.flush()
	})
}

// release takes a PUBREL.
func (x *exchange) release(id uint16) error {
	x.mu.Lock()
	defer x.unlock()
	in := x.in
	switch {
	case in != nil && in.owes(id):
		return violation("a PUBREL before the PUBREC")
	case in == nil || !in.forget(id):
		x.answer(packet.PUBCOMP, id, packet.PacketIDNotFound)
	case x.keep != nil:
		x.keep.forget(id)
		x.todo |= todoChange
	default:
		x.answer(packet.PUBCOMP, id, packet.Success)
	}
	return nil
}

// codeOf gives the reason code of an error of Herald's.
func codeOf(err error) packet.Code {
	switch herald.CodeOf(err) {
	case herald.CodeForbidden, herald.CodeUnauthorized:
		return packet.NotAuthorized
	case herald.CodeInvalidRequest, herald.CodeTooLarge:
		return packet.TopicNameInvalid
	case herald.CodeRateLimited, herald.CodeLimitReached, herald.CodeStorageUnavailable:
		return packet.QuotaExceeded
	}
	return packet.UnspecifiedError
}

// answerWhy sends an acknowledgement, with a reason for people if there is one.
func (x *exchange) answerWhy(a *answer) {
	if a.why == "" || !x.c.problems || x.c.version < packet.V5 {
		x.answer(a.kind, a.id, a.code)
		return
	}
	f := frame(&packet.Ack{Type: a.kind, ID: a.id, Code: a.code, Props: x.c.reason(a.why)}, x.c.version)
	if !x.c.takes(f) {
		x.answer(a.kind, a.id, a.code)
		return
	}
	x.say(f)
}

// counts are of all connections.
type counts struct {
	numbers atomic.Uint64 // packet identifiers of what has no position
	refused atomic.Int64  // publications of clients that were dropped without a word
}

// refused counts a publication that is dropped without a word to the client.
func (c *conn) refused() { c.broker().counts.refused.Add(1) }

// Refused is how many publications of clients were dropped without a word: with
// QoS 0, or of a version before 5.0, and not allowed or too fast.
func (b *Broker) Refused() int64 { return b.counts.refused.Load() }
