package dingtalk

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

const (
	// For whom an address mentions, which a digest does not know.
	addressRoom = maxMentions*2*(21+len(`"",`)) + 200
	// leastText is how much of a text that is long a digest shows at least, and the
	// most of a title, in bytes.
	leastText = 200
	// mostLink is how long an address may be that a digest shows.
	mostLink = 500
)

// entry is what a digest shows of a message.
type entry struct {
	title, body, picture, click string
}

// Digest makes one Markdown message of several: how many they are, and of each
// title and text, in their order. As much is shown of the texts as fits; the
// messages that do not are counted at the end.
func (p *Provider) Digest(list []*provider.Message) (*provider.Message, error) {
	if len(list) == 0 {
		return nil, rejected("Give it messages.", "there is nothing to make a digest of")
	}
	out := *list[len(list)-1]
	out.CollapseKey, out.Shortened = "", false
	var at mentions
	entries := make([]entry, len(list))
	for i, m := range list {
		o, err := readOptions(m.Options)
		if err != nil {
			return nil, err
		}
		if entries[i], err = p.entry(o, m.Content.Notification); err != nil {
			return nil, err
		}
		at = mentions{append(at.Mobiles, o.At.Mobiles...), append(at.Users, o.At.Users...), at.All || o.At.All}.with(nil)
		if m.Priority == herald.PriorityHigh {
			out.Priority = m.Priority
		}
		if m.Expires.After(out.Expires) {
			out.Expires = m.Expires
		}
		out.Shortened = out.Shortened || m.Shortened
	}
	w := wordsFor(entries)
	n := herald.Notification{Title: fmt.Sprintf(w.heading, len(list))}
	empty, err := encode(said{Kind: kindMarkdown, Markdown: &markdown{n.Title, p.keyed(at.in(shown(&n, ""), "\n\n"), "\n\n")}, At: at.called()})
	if err != nil {
		return nil, err
	}
	body, cut := fill(entries, maxBody-addressRoom-len(empty)-escaped("\n\n"), w)
	if body == "" || at.check() != nil {
		return nil, rejected("They are sent one by one.", "the messages do not fit into one")
	}
	n.Body, out.Shortened = body, out.Shortened || cut
	out.Content = herald.Content{Notification: &n}
	out.Options, err = encode(map[string]any{"msgtype": kindMarkdown, "at": map[string]any{"mobiles": nonNil(at.Mobiles), "user_ids": nonNil(at.Users), "all": at.All}})
	return &out, err
}

func nonNil(list []string) []string { return append([]string{}, list...) }

// entry is what a digest shows of a message. The error is that of sending it.
func (p *Provider) entry(o *options, n *herald.Notification) (e entry, _ error) {
	long, say, err := p.says(o, n, mentions{})
	if err != nil {
		return e, err
	}
	if n == nil {
		n = &herald.Notification{}
	}
	e = entry{title: oneLine(n.Title), body: long, picture: n.Image, click: n.Click}
	switch s := say(long); s.Kind {
	case kindMarkdown:
		if o.Markdown != nil && o.Markdown.Text != "" {
			e = entry{title: o.Markdown.Title, body: long}
		}
	case kindText:
		if o.Text != nil && o.Text.Content != "" {
			e = entry{body: long}
		}
	case kindLink:
		e = entry{s.Link.Title, long, s.Link.Picture, s.Link.URL}
	case kindCard:
		e.title, e.click = s.Card.Title, s.Card.SingleURL
		for _, b := range s.Card.Buttons {
			e.body = join("\n\n", e.body, "["+b.Title+"]("+b.URL+")")
		}
	case kindFeed:
		e = entry{}
		for _, l := range s.Feed.Links {
			e.body = join("\n\n", e.body, "["+l.Title+"]("+l.URL+")")
		}
	}
	e.title = oneLine(e.title)
	return e, nil
}

// show is the entry with at most limit bytes of its text; cut tells that
// something of it is missing.
func (e entry) show(number, limit int) (s string, cut bool) {
	title, body := provider.Cut(e.title, leastText), provider.Cut(e.body, limit)
	cut = title != e.title || body != e.body
	if strings.Count(body, "```")%2 == 1 {
		body += "\n```" // what follows is no code
	}
	link := func(address, form string) string {
		switch {
		case address == "":
			return ""
		case len(address) > mostLink:
			cut = true
			return ""
		}
		return strings.ReplaceAll(form, "$", address)
	}
	head := strings.TrimSuffix(fmt.Sprintf("#### %d. %s", number, title), " ")
	return join("\n\n", head, breaks(body), link(e.picture, "![]($)"), link(e.click, "[$]($)")), cut
}

// fill puts entries into so many bytes of JSON: all of them with as much of their
// texts as that allows, each the same at most, or the first ones with a little
// text.
func fill(list []entry, room int, w words) (body string, cut bool) {
	try := func(limit int) (shown []string, size int, cut bool) {
		for i, e := range list {
			s, c := e.show(i+1, limit)
			if size += escaped(s) + escaped("\n\n"); size > room && limit > leastText {
				return nil, size, true
			}
			shown, cut = append(shown, s), cut || c
		}
		return shown, size, cut
	}
	// The search ends at the largest limit that has them all fit.
	low, high := leastText, maxBody
	shown, size, cut := try(high)
	if size > room {
		shown, size, cut = try(low)
		for low+1 < high {
			middle := (low + high) / 2
			if s, n, c := try(middle); n <= room {
				low, shown, size, cut = middle, s, n, c
			} else {
				high = middle
			}
		}
	}
	if size <= room {
		return strings.Join(shown, "\n\n"), cut
	}
	room -= escaped(fmt.Sprintf(w.more, len(list)))
	n := 0
	for size = 0; n < len(shown); n++ {
		if size += escaped(shown[n]) + escaped("\n\n"); size > room {
			break
		}
	}
	if n == 0 {
		return "", true
	}
	return strings.Join(append(shown[:n:n], fmt.Sprintf(w.more, len(list)-n)), "\n\n"), true
}

// escaped is how long a text is in JSON.
func escaped(s string) int {
	b, _ := encode(s) // a string always has JSON
	return len(b) - 2
}

// words are what a digest says itself.
type words struct{ heading, more string }

// wordsFor gives the words in the language of the messages, as far as it can be
// told.
func wordsFor(list []entry) words {
	for _, e := range list {
		if strings.ContainsFunc(e.title+e.body, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			return words{"%d 条消息", "还有 %d 条"}
		}
	}
	return words{"%d messages", "and %d more"}
}
