package api

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/strict"
)

// Nearly every message is written the same plain way, and goes to one person.
// What is here reads and writes those at a fraction of what reflection costs;
// it does nothing that the general way does not, and gives up where it would
// differ. FuzzPlain and FuzzContent hold the two against each other.

// decode reads a message: plainly if it can, and otherwise strictly.
func decode(body []byte, m *BatchMessage, batched bool) error {
	if plainMessage(body, m, batched) {
		return nil
	}
	*m = BatchMessage{}
	if batched {
		return strict.Decode(body, m)
	}
	return strict.Decode(body, &m.SendRequest)
}

// once keeps track of which members were there.
type once uint32

// first reports whether a member, by its number, comes for the first time.
func (o *once) first(n int) bool {
	was := *o
	*o |= 1 << n
	return was != *o
}

// plainMessage reads a message that is written plainly. After false m may be
// filled in part.
func plainMessage(body []byte, m *BatchMessage, batched bool) bool {
	p := strict.NewPlain(body)
	var seen once
	for i := 0; ; i++ {
		name, ok := p.Member(i)
		if !ok {
			return p.Done()
		}
		n := 0
		switch string(name) {
		case "audience":
			plainAudience(&p, &m.Audience)
		case "notification":
			n, m.Notification = 1, plainNotification(&p)
		case "data":
			n, m.Data = 2, json.RawMessage(append([]byte(nil), p.Free()...))
		case "ttl":
			v := p.Int()
			n, m.TTL = 3, &v
		case "priority":
			n, m.Priority = 4, herald.Priority(p.Text())
		case "collapse_key":
			n, m.CollapseKey = 5, p.Text()
		case "ordering_key":
			n, m.OrderingKey = 6, p.Text()
		case "require_target":
			n, m.RequireTarget = 7, p.Bool()
		case "idempotency_key":
			if !batched {
				return false
			}
			v := p.Text()
			n, m.IdempotencyKey = 8, &v
		default:
			return false
		}
		if !seen.first(n) {
			return false
		}
	}
}

// plainAudience reads "all", or lists of names.
func plainAudience(p *strict.Plain, a *herald.Audience) {
	if p.Next() == '"' {
		if a.All = p.Text() == "all"; !a.All {
			p.Refuse()
		}
		return
	}
	var seen once
	for i := 0; ; i++ {
		name, ok := p.Member(i)
		if !ok {
			return
		}
		n := 0
		switch string(name) {
		case "registration_ids":
			a.RegistrationIDs = plainList[herald.RegistrationID](p)
		case "aliases":
			n, a.Aliases = 1, plainList[herald.Alias](p)
		case "tags":
			n, a.Tags = 2, plainList[herald.Tag](p)
		default:
			p.Refuse()
		}
		if !seen.first(n) {
			p.Refuse()
		}
	}
}

func plainList[S ~string](p *strict.Plain) []S {
	out := make([]S, 0, 1)
	for i := 0; p.Element(i); i++ {
		out = append(out, S(p.Text()))
	}
	return out
}

func plainNotification(p *strict.Plain) *herald.Notification {
	out := &herald.Notification{}
	var seen once
	for i := 0; ; i++ {
		name, ok := p.Member(i)
		if !ok {
			return out
		}
		n := 0
		switch string(name) {
		case "title":
			out.Title = p.Text()
		case "body":
			n, out.Body = 1, p.Text()
		case "image":
			n, out.Image = 2, p.Text()
		case "click":
			n, out.Click = 3, p.Text()
		case "sound":
			n, out.Sound = 4, p.Text()
		default:
			p.Refuse()
		}
		if !seen.first(n) {
			p.Refuse()
		}
	}
}

// contentJSON is json.Marshal for a content. plain is as in record.Message.
func contentJSON(c *herald.Content) (b []byte, plain bool, err error) {
	if b, ok := plainContent(c); ok {
		return b, true, nil
	}
	b, err = json.Marshal(c)
	return b, false, err
}

// plainContent writes a content in which nothing has to be escaped or made
// compact; false for others.
func plainContent(c *herald.Content) (b []byte, ok bool) {
	if c.PlatformData != nil {
		return nil, false
	}
	n := c.Notification
	size := len(c.Data) + 32
	if n != nil {
		if n.Badge != nil || n.Actions != nil || n.Platforms != nil || n.Languages != nil {
			return nil, false
		}
		size += len(n.Title) + len(n.Body) + len(n.Image) + len(n.Click) + len(n.Sound) + 64
	}
	b = append(make([]byte, 0, size), '{')
	if n != nil {
		b = append(b, `"notification":{`...)
		for _, m := range [...]struct{ name, text string }{{"title", n.Title}, {"body", n.Body}, {"image", n.Image}, {"click", n.Click}, {"sound", n.Sound}} {
			if m.text == "" {
				continue
			}
			if !plainText(m.text) {
				return nil, false
			}
			b = append(append(append(b, '"'), m.name...), `":"`...)
			b = append(append(b, m.text...), `",`...)
		}
		if b[len(b)-1] == ',' {
			b = b[:len(b)-1]
		}
		b = append(b, '}')
	}
	if len(c.Data) > 0 {
		if !compact(c.Data) {
			return nil, false
		}
		if n != nil {
			b = append(b, ',')
		}
		b = append(append(b, `"data":`...), c.Data...)
	}
	return append(b, '}'), true
}

// plainText reports whether json.Marshal writes a text as it is.
func plainText(s string) bool {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c == '"', c == '\\', c == '<', c == '>', c == '&', c == 0xe2: // U+2028 and U+2029 begin so
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s)
}

// compact reports whether json.Marshal writes free-form JSON as it is.
func compact(b []byte) bool {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '<', c == '>', c == '&', c == 0xe2:
			return false
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++
		case c <= ' ' && !quoted:
			return false
		}
	}
	return json.Valid(b)
}
