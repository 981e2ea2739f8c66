package dingtalk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// said is a message as the vendor reads it.
type said struct {
	Kind     string    `json:"msgtype"`
	Text     *text     `json:"text,omitempty"`
	Link     *link     `json:"link,omitempty"`
	Markdown *markdown `json:"markdown,omitempty"`
	Card     *card     `json:"actionCard,omitempty"`
	Feed     *feed     `json:"feedCard,omitempty"`
	At       *called   `json:"at,omitempty"`
}

type called struct {
	Mobiles []string `json:"atMobiles,omitempty"`
	Users   []string `json:"atUserIds,omitempty"`
	All     bool     `json:"isAtAll"`
}

// encode writes JSON without the escapes that only browsers need: they would
// count.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// request makes the body of a call. A text that is too long is shortened; a title
// is not.
func (p *Provider) request(o *options, m *provider.Message, at mentions) (body []byte, shortened bool, err error) {
	long, say, err := p.says(o, m.Content.Notification, at)
	if err != nil {
		return nil, false, err
	}
	return provider.Fit(long, maxBody, func(s string) ([]byte, error) { return encode(say(s)) })
}

// says gives the part of a message that may be shortened, and what makes the
// message with it.
func (p *Provider) says(o *options, n *herald.Notification, at mentions) (long string, say func(string) said, _ error) {
	if n == nil {
		n = &herald.Notification{}
	}
	switch kind := o.kind(n); kind {
	case kindText:
		long, say = p.text(o, n, at)
	case kindMarkdown:
		long, say = p.markdown(o, n, at)
	case kindLink:
		l := link{}
		if o.Link != nil {
			l = *o.Link
		}
		l.Title, l.URL, l.Picture = cmp.Or(l.Title, headline(n), firstLine(l.Text)), cmp.Or(l.URL, n.Click), cmp.Or(l.Picture, n.Image)
		if l.URL == "" {
			return "", nil, rejected("Give the notification a click, or the options link.messageUrl.", "a link of DingTalk leads nowhere")
		}
		return cmp.Or(l.Text, n.Body, n.Title), func(s string) said {
			l := l
			l.Text = p.keyed(s, " ")
			return said{Kind: kind, Link: &l}
		}, nil
	case kindCard:
		return p.card(o, n)
	case kindFeed:
		return p.feed(o)
	}
	if long == "" && headline(n) == "" && n.Image == "" && n.Click == "" {
		return "", nil, rejected("Give the message a notification, or say for dingtalk what it shows.", "the message has nothing to show in a chat room")
	}
	return long, say, nil
}

func (o *options) kind(n *herald.Notification) string {
	switch {
	case o.Kind != "":
		return o.Kind
	case n.Body != "" || n.Image != "":
		return kindMarkdown
	}
	return kindText
}

func (p *Provider) text(o *options, n *herald.Notification, at mentions) (string, func(string) said) {
	long, head, tail := n.Body, n.Title, n.Click
	if o.Text != nil && o.Text.Content != "" {
		long, head, tail = o.Text.Content, "", ""
	}
	return long, func(s string) said {
		content := p.keyed(at.in(join("\n", head, s, tail), "\n"), "\n")
		return said{Kind: kindText, Text: &text{content}, At: at.called()}
	}
}

func (p *Provider) markdown(o *options, n *herald.Notification, at mentions) (string, func(string) said) {
	own := markdown{}
	if o.Markdown != nil {
		own = *o.Markdown
	}
	title := cmp.Or(own.Title, headline(n), firstLine(own.Text), "…")
	long, frame := own.Text, func(s string) string { return s }
	if long == "" {
		long, frame = n.Body, func(s string) string { return shown(n, s) }
	}
	return long, func(s string) said {
		return said{Kind: kindMarkdown, Markdown: &markdown{title, p.keyed(at.in(frame(s), "\n\n"), "\n\n")}, At: at.called()}
	}
}

func (p *Provider) card(o *options, n *herald.Notification) (string, func(string) said, error) {
	c := card{}
	if o.Card != nil {
		c = *o.Card
	}
	c.Title = cmp.Or(c.Title, headline(n), firstLine(c.Text), "…")
	if len(c.Buttons) == 0 {
		c.SingleURL, c.SingleTitle = cmp.Or(c.SingleURL, n.Click), cmp.Or(c.SingleTitle, c.Title)
	}
	for _, b := range c.Buttons {
		if b.Title == "" || b.URL == "" {
			return "", nil, rejected("Give each a title and an actionURL.", "a button of the card has no title, or leads nowhere")
		}
	}
	if len(c.Buttons) == 0 && c.SingleURL == "" {
		return "", nil, rejected("Give the notification a click, or the options actionCard.singleURL or actionCard.btns.", "the card has no button")
	}
	long, frame := c.Text, func(s string) string { return s }
	if long == "" {
		plain := *n
		plain.Click = "" // it is the button
		long, frame = n.Body, func(s string) string { return shown(&plain, s) }
	}
	return long, func(s string) said {
		c := c
		c.Text = p.keyed(frame(s), "\n\n")
		return said{Kind: kindCard, Card: &c}
	}, nil
}

func (p *Provider) feed(o *options) (string, func(string) said, error) {
	if o.Feed == nil || len(o.Feed.Links) == 0 {
		return "", nil, rejected(`Write {"feedCard":{"links":[{"title":…,"messageURL":…,"picURL":…}]}}.`, "the feed has no links")
	}
	f := feed{Links: append([]feedLink(nil), o.Feed.Links...)}
	for _, l := range f.Links {
		if l.Title == "" || l.URL == "" {
			return "", nil, rejected("Give each a title and a messageURL.", "a link of the feed has no title, or leads nowhere")
		}
	}
	f.Links[0].Title = p.keyed(f.Links[0].Title, " ")
	return "", func(string) said { return said{Kind: kindFeed, Feed: &f} }, nil
}

// shown is a notification in Markdown, with another body.
func shown(n *herald.Notification, body string) string {
	head, picture, click := "", "", ""
	if n.Title != "" {
		head = "### " + oneLine(n.Title)
	}
	if n.Image != "" {
		picture = "![](" + n.Image + ")"
	}
	if n.Click != "" {
		click = "[" + n.Click + "](" + n.Click + ")"
	}
	return join("\n\n", head, breaks(body), picture, click)
}

// keyed is a text with the keyword that the room asks for.
func (p *Provider) keyed(s, separator string) string {
	if strings.Contains(s, p.keyword) {
		return s
	}
	return join(separator, s, p.keyword)
}

// in is a text in which all who are called stand, as the vendor wants it.
func (a mentions) in(s, separator string) string {
	var missing []string
	for _, list := range [][]string{a.Mobiles, a.Users} {
		for _, who := range list {
			if !strings.Contains(s, "@"+who) {
				missing = append(missing, "@"+who)
			}
		}
	}
	return join(separator, s, strings.Join(missing, " "))
}

func (a mentions) called() *called {
	if len(a.Mobiles)+len(a.Users) == 0 && !a.All {
		return nil
	}
	return &called{a.Mobiles, a.Users, a.All}
}

// join puts a separator between what is not empty.
func join(separator string, list ...string) string {
	out := ""
	for _, s := range list {
		if out != "" && s != "" {
			out += separator
		}
		out += s
	}
	return out
}

// breaks keeps the lines of a text, which Markdown would join.
func breaks(s string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines[:len(lines)-1] {
		if line != "" && lines[i+1] != "" && !strings.HasSuffix(line, "  ") {
			lines[i] += "  "
		}
	}
	return strings.Join(lines, "\n")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// headline is what the list of chats shows.
func headline(n *herald.Notification) string {
	return cmp.Or(oneLine(n.Title), firstLine(n.Body))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return provider.Cut(line, 60)
}
