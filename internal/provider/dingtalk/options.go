package dingtalk

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/strict"
)

// The kinds of messages.
const (
	kindText     = "text"
	kindLink     = "link"
	kindMarkdown = "markdown"
	kindCard     = "actionCard"
	kindFeed     = "feedCard"
)

// options are what a sender may say for DingTalk, in its words: a kind, with the
// member of its name. What a member leaves open comes from the notification.
type options struct {
	Kind     string    `json:"msgtype"`
	Text     *text     `json:"text"`
	Link     *link     `json:"link"`
	Markdown *markdown `json:"markdown"`
	Card     *card     `json:"actionCard"`
	Feed     *feed     `json:"feedCard"`
	At       mentions  `json:"at"`
}

type text struct {
	Content string `json:"content"`
}

type link struct {
	Title   string `json:"title"`
	Text    string `json:"text"`
	URL     string `json:"messageUrl"`
	Picture string `json:"picUrl,omitempty"`
}

type markdown struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type card struct {
	Title       string   `json:"title"`
	Text        string   `json:"text"`
	Orientation string   `json:"btnOrientation,omitempty"`
	SingleTitle string   `json:"singleTitle,omitempty"`
	SingleURL   string   `json:"singleURL,omitempty"`
	Buttons     []button `json:"btns,omitempty"`
}

type button struct {
	Title string `json:"title"`
	URL   string `json:"actionURL"`
}

type feed struct {
	Links []feedLink `json:"links"`
}

type feedLink struct {
	Title   string `json:"title"`
	URL     string `json:"messageURL"`
	Picture string `json:"picURL,omitempty"`
}

// mentions are whom a message is to call.
type mentions struct {
	Mobiles []string `json:"mobiles"`
	Users   []string `json:"user_ids"`
	All     bool     `json:"all"`
}

const optionsRemedy = `Write for example {"msgtype":"link","link":{"messageUrl":"https://…"}}, {"msgtype":"actionCard",…} or {"at":{"mobiles":["138…"]}}.`

func rejected(remedy, format string, args ...any) error {
	return provider.Errorf(provider.Rejected, "", remedy, format, args...)
}

func readOptions(raw json.RawMessage) (*options, error) {
	o := &options{}
	if len(raw) > 0 {
		if err := strict.Decode(raw, o); err != nil {
			return nil, rejected("Look at what the message says for dingtalk.", "the options for dingtalk cannot be read: %v", err)
		}
	}
	var named []string
	for name, there := range map[string]bool{kindText: o.Text != nil, kindLink: o.Link != nil, kindMarkdown: o.Markdown != nil, kindCard: o.Card != nil, kindFeed: o.Feed != nil} {
		if there {
			named = append(named, name)
		}
	}
	switch {
	case len(named) > 1, len(named) == 1 && o.Kind != "" && o.Kind != named[0]:
		slices.Sort(named)
		return nil, rejected(optionsRemedy, "a message of DingTalk has one kind, with the member of its name; the options have %s", strings.Join(named, ", "))
	case len(named) == 1:
		o.Kind = named[0]
	case o.Kind != "" && !slices.Contains([]string{kindText, kindLink, kindMarkdown, kindCard, kindFeed}, o.Kind):
		return nil, rejected("Use text, link, markdown, actionCard or feedCard.", "%.40q is no kind of message of DingTalk", o.Kind)
	}
	return o, o.At.check()
}

// maxMentions is how many people a message may call by name.
const maxMentions = 50

var mobile = regexp.MustCompile(`^\+?[0-9][0-9-]{4,19}$`)

func (a mentions) check() error {
	const remedy = "Write the telephone numbers of members of the room, and their user IDs."
	if len(a.Mobiles)+len(a.Users) > maxMentions {
		return rejected(remedy, "more than %d are mentioned", maxMentions)
	}
	for _, number := range a.Mobiles {
		if !mobile.MatchString(number) {
			return rejected(remedy, "%.40q is no telephone number", number)
		}
	}
	for _, user := range a.Users {
		if user == "" || len(user) > 64 || strings.ContainsAny(user, " \t\r\n@") {
			return rejected(remedy, "%.40q is no user ID", user)
		}
	}
	return nil
}

// readAddress reads whom an address has mentioned: telephone numbers with commas
// between them, or nobody.
func readAddress(token string) ([]string, error) {
	if token == "" {
		return nil, nil
	}
	list := strings.Split(token, ",")
	for i, number := range list {
		list[i] = strings.TrimSpace(number)
	}
	return list, mentions{Mobiles: list}.check()
}

// with adds mentions, each once. The vendor knows numbers of its own country
// without its prefix.
func (a mentions) with(mobiles []string) mentions {
	out := mentions{All: a.All}
	for _, number := range slices.Concat(a.Mobiles, mobiles) {
		number = strings.TrimPrefix(strings.TrimPrefix(number, "+86"), "-")
		if !slices.Contains(out.Mobiles, number) {
			out.Mobiles = append(out.Mobiles, number)
		}
	}
	for _, user := range a.Users {
		if !slices.Contains(out.Users, user) {
			out.Users = append(out.Users, user)
		}
	}
	return out
}
