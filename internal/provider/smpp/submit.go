package smpp

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
	"github.com/herald-push/herald/internal/wire/smpp"
	"github.com/herald-push/herald/internal/wire/smstext"
)

// options are what a sender may say for SMPP beside the content.
type options struct {
	Text        string `json:"text"`     // in place of title and body
	Source      string `json:"source"`   // in place of the credential's
	Encoding    string `json:"encoding"` // in place of the credential's
	ServiceType string `json:"service_type"`
}

func readOptions(raw json.RawMessage) (o options, err error) {
	if len(raw) > 0 {
		if err := strict.Decode(raw, &o); err != nil {
			return o, provider.Errorf(provider.Rejected, "", "Look at what the message says for smpp.", "the options for smpp cannot be read: %v", err)
		}
	}
	if o.Encoding != "" && o.Encoding != codingAuto && o.Encoding != codingUnicode {
		return o, provider.Errorf(provider.Rejected, "", "Use auto or ucs2.", "the options for smpp have the encoding %.40q", o.Encoding)
	}
	if len(o.ServiceType) > 5 {
		return o, provider.Errorf(provider.Rejected, "", "Use up to 5 characters.", "the options for smpp have the service type %.40q", o.ServiceType)
	}
	return o, nil
}

// text is what a message says on a telephone: title and body with a blank between
// them, which Chinese does not need after its own punctuation.
func (o *options) text(m *provider.Message) string {
	if o.Text != "" {
		return o.Text
	}
	n := m.Content.Notification
	if n == nil {
		return ""
	}
	title, body := strings.TrimSpace(n.Title), strings.TrimSpace(n.Body)
	last, _ := utf8.DecodeLastRuneInString(title)
	if title == "" || body == "" || last > unicode.MaxLatin1 && unicode.IsPunct(last) {
		return title + body
	}
	return title + " " + body
}

// sourceOf reads the address of a sender by its form: a number with its country,
// a short code, or a name.
func sourceOf(s string) (smpp.Party, error) {
	number := strings.TrimPrefix(s, "+")
	digits := strings.Trim(number, "0123456789") == ""
	switch {
	case s == "": // the service centre has one of its own
		return smpp.Party{}, nil
	case digits && len(number) >= 3 && len(number) <= 6 && number == s:
		return smpp.Party{TON: 3, Address: s}, nil // specific to the network
	case digits && len(number) >= 7 && len(number) <= 15:
		return smpp.Party{TON: 1, NPI: 1, Address: number}, nil // international, of telephones
	}
	// A name is 11 septets at most (3GPP TS 23.040 section 9.1.2.5).
	if t := smstext.Split(s); t.Unicode || len(t.Parts[0]) > 11 || strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || digits {
		return smpp.Party{}, herald.Invalid("source", "Give a number with its country, a short code, or up to 11 letters and digits.", "%.40q can be no sender", s)
	}
	return smpp.Party{TON: 5, Address: s}, nil
}

// number reads the address of a receiver.
func number(token string) (string, error) {
	n := strings.TrimPrefix(strings.TrimSpace(token), "+")
	if len(n) < 3 || len(n) > 15 || strings.Trim(n, "0123456789") != "" {
		return "", provider.Errorf(provider.Unregistered, "", "Register the number with its country, such as +8613800138000.", "the address is no telephone number")
	}
	return n, nil
}

// draft is a message as it will be submitted.
type draft struct {
	message   smpp.Message // without text
	texts     []string     // of the parts, for people
	parts     [][]byte
	ref       byte
	shortened bool
}

// draft makes out of a message what is submitted.
func (p *Provider) draft(to provider.Address, m *provider.Message) (*draft, error) {
	o, err := readOptions(m.Options)
	if err != nil {
		return nil, err
	}
	dest := p.dest
	if dest.Address, err = number(to.Token); err != nil {
		return nil, err
	}
	source := p.party
	if o.Source != "" && o.Source != p.source {
		if source, err = sourceOf(o.Source); err != nil {
			return nil, provider.Errorf(provider.Rejected, "", "Give a number with its country, a short code, or up to 11 letters and digits.", "the options for smpp have the source %.40q", o.Source)
		}
	}
	text := o.text(m)
	if strings.TrimSpace(text) == "" {
		return nil, provider.Errorf(provider.Rejected, "", "Give the message a notification, or a text in the options for smpp.", "the message has no text")
	}
	asUnicode := o.Encoding == codingUnicode || o.Encoding == "" && p.unicode || smstext.NeedsUnicode(text)
	d := &draft{ref: reference(m.ID, dest.Address)}
	text, d.shortened = smstext.Shorten(text, p.parts, asUnicode)
	d.parts = smstext.SplitAs(text, asUnicode).Parts
	d.message = smpp.Message{ServiceType: o.ServiceType, Source: source, Dest: dest, Validity: validity(m, p.now())}
	if asUnicode {
		d.message.Coding = smpp.CodingUCS2
	}
	if p.command == smpp.BindTransceiver {
		d.message.Registered = 1 // else nobody would take the receipts
	}
	for _, b := range d.parts {
		d.texts = append(d.texts, smstext.Decode(b, asUnicode))
	}
	return d, nil
}

// reference names the parts of a message: the same name each time it is sent, so
// that a telephone which has some of them from before puts them together.
func reference(id herald.MessageID, dest string) byte {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id.String() + "/" + dest))
	return byte(h.Sum32())
}

// validity is how long the network keeps trying, in the relative form (section
// 7.1.1.2), which needs no two clocks to agree. The shortest is a minute: what is
// for now or never takes a moment too.
func validity(m *provider.Message, now time.Time) string {
	left := max(int64(time.Minute/time.Second), int64(m.TTL(now)/time.Second))
	days := min(left/86400, 99)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", days, left/3600%24, left/60%60, left%60)
}

// unit makes the n-th part.
func (d *draft) unit(n int) *smpp.PDU {
	m := d.message
	m.Text = d.parts[n]
	if len(d.parts) > 1 {
		m.Class |= smpp.ClassUDH
		m.Text = append(smstext.Header(d.ref, byte(len(d.parts)), byte(n+1)), m.Text...)
	}
	return &smpp.PDU{Command: smpp.SubmitSM, Message: &m}
}

// Send submits a message, in several parts if it is long, one after the other.
func (p *Provider) Send(ctx context.Context, to provider.Address, m *provider.Message) (provider.Result, error) {
	d, err := p.draft(to, m)
	if err != nil {
		return provider.Result{}, err
	}
	r := provider.Result{Shortened: d.shortened || m.Shortened, Parts: len(d.parts)}
	var g *group
	if len(d.parts) > 1 {
		g = p.groups.begin(len(d.parts))
	}
	var ids []string
	for n := range d.parts {
		id, err := p.submit(ctx, d, n, g)
		if err != nil {
			p.groups.drop(g)
			return provider.Result{}, inPart(err, n, len(d.parts))
		}
		ids = append(ids, id)
	}
	r.Reference = strings.Join(ids, ",")
	if report, ok := p.groups.whole(g, r.Reference); ok {
		p.tell(report)
	}
	return r, nil
}

// inPart says in an error which part it is about, if it is not the first.
func inPart(err error, n, of int) error {
	if e, ok := err.(*provider.Error); ok && n > 0 { //nolint:errorlint // it is not wrapped
		e.Text = fmt.Sprintf("part %d of %d: %s", n+1, of, e.Text)
	}
	return err
}

// submit submits one part and gives its name. What a session did not take because
// it had ended goes over the next one. A part after the first that was refused for
// being too early is submitted again, until ctx ends.
func (p *Provider) submit(ctx context.Context, d *draft, n int, g *group) (string, error) {
	wait := p.again
	for try := 0; ; {
		s, err := p.session(ctx, false)
		if err != nil {
			return "", err
		}
		began := p.now()
		answer, asked, err := s.ask(ctx, d.unit(n), func(a *smpp.PDU) {
			if a.Status == smpp.OK {
				p.groups.named(g, nameOf(a.Name, p.responseBase))
			}
		})
		p.takeDown(ctx, d, n, began, answer, err)
		if err != nil {
			if try++; !asked && ctx.Err() == nil && try < 3 {
				continue
			}
			return "", provider.Lost(err, asked)
		}
		if answer.Status == smpp.OK && answer.Command == smpp.SubmitSM.Response() {
			return nameOf(answer.Name, p.responseBase), nil
		}
		if answer.Status == smpp.BadBindState {
			s.retire() // the service centre has lost it: the next message opens another one
		}
		e := refusal(answer)
		if e.Kind != provider.Throttled || n == 0 {
			return "", e
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return "", e
		}
	}
}

// takeDown writes a submit into the transcript of ctx, if it has one.
func (p *Provider) takeDown(ctx context.Context, d *draft, n int, began time.Time, answer *smpp.PDU, err error) {
	t := provider.TranscriptOf(ctx)
	if t == nil {
		return
	}
	m := &d.message
	said := map[string]any{
		"source": m.Source.Address, "source_ton": m.Source.TON, "source_npi": m.Source.NPI, "destination": m.Dest.Address, "dest_ton": m.Dest.TON, "dest_npi": m.Dest.NPI,
		"data_coding": m.Coding, "validity_period": m.Validity, "registered_delivery": m.Registered, "text": d.texts[n],
	}
	if len(d.parts) > 1 {
		said["part"], said["reference"] = fmt.Sprintf("%d/%d", n+1, len(d.parts)), d.ref
	}
	x := p.exchange(began, smpp.SubmitSM.String(), jsonText(said), 0, "", err)
	if answer != nil {
		x.Status = int(answer.Status)
		x.Answer = jsonText(map[string]string{"command": answer.Command.String(), "command_status": answer.Status.String(), "message_id": answer.Name})
	}
	t.Add(x)
}
