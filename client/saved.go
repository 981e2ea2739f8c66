package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/herald-push/herald"
)

// Segment is a saved audience.
type Segment struct {
	Name      string          `json:"name"`
	Audience  herald.Audience `json:"audience"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Estimate  *Estimate       `json:"estimate,omitempty"` // nil in lists
}

// SegmentPage is one page of segments, in byte order.
type SegmentPage struct {
	Segments   []Segment `json:"segments"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

// SetSegment saves an audience under a name. Name the segment in the Segments of
// another audience; it means what is saved when that one is evaluated.
func (c *Client) SetSegment(ctx context.Context, name string, a herald.Audience) (Segment, error) {
	body := struct {
		Audience herald.Audience `json:"audience"`
	}{a}
	var out Segment
	err := c.do(ctx, call{method: http.MethodPut, path: segmentPath(name), body: body, into: &out})
	return out, err
}

// Segment shows a segment with what it comes to now.
func (c *Client) Segment(ctx context.Context, name string) (Segment, error) {
	var out Segment
	err := c.do(ctx, call{method: http.MethodGet, path: segmentPath(name), into: &out})
	return out, err
}

// Segments lists segments.
func (c *Client) Segments(ctx context.Context, cursor string, limit int) (SegmentPage, error) {
	var out SegmentPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/segments", query: page(cursor, limit), into: &out})
	return out, err
}

// DeleteSegment deletes a segment that no other one uses.
func (c *Client) DeleteSegment(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: segmentPath(name)})
}

func segmentPath(name string) string { return "/v1/segments/" + url.PathEscape(name) }

// What the lines of a file are.
const (
	OfRegistrationIDs = "registration_ids"
	OfAliases         = "aliases"
)

// File is an uploaded list of devices or aliases. Name its ID in the Files of an
// audience, or in TagMembers.
type File struct {
	ID         herald.FileID `json:"id"`
	Name       string        `json:"name,omitempty"`
	Of         string        `json:"of"`         // OfRegistrationIDs or OfAliases
	Lines      int64         `json:"lines"`      // that were not empty
	Devices    int64         `json:"devices"`    // that it came to when it was uploaded
	Unknown    int64         `json:"unknown"`    // values that nobody had
	Duplicates int64         `json:"duplicates"` // lines whose value came before
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  time.Time     `json:"expires_at"` // moves on with each use
}

// FilePage is one page of files, newest first.
type FilePage struct {
	Files      []File `json:"files"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// Upload says how a list is written; the zero value is one value on a line,
// below a header that names what they are.
type Upload struct {
	Of   string // OfRegistrationIDs or OfAliases; "" leaves it to a header line
	Name string // your own name for it, shown in lists
	CSV  bool   // cells as in RFC 4180
}

// UploadFile uploads a list of up to a million lines. It is read once, so that
// the call is not tried again.
func (c *Client) UploadFile(ctx context.Context, list io.Reader, u Upload) (File, error) {
	v := url.Values{}
	setUnlessEmpty(v, "of", u.Of)
	setUnlessEmpty(v, "name", u.Name)
	r := call{method: http.MethodPost, path: "/v1/files", query: v, stream: list, media: "text/plain; charset=utf-8"}
	if u.CSV {
		r.media = "text/csv; charset=utf-8"
	}
	var out File
	r.into = &out
	err := c.do(ctx, r)
	return out, err
}

// File shows what a list came to.
func (c *Client) File(ctx context.Context, id herald.FileID) (File, error) {
	var out File
	err := c.do(ctx, call{method: http.MethodGet, path: filePath(id), into: &out})
	return out, err
}

// Files lists files.
func (c *Client) Files(ctx context.Context, cursor string, limit int) (FilePage, error) {
	var out FilePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/files", query: page(cursor, limit), into: &out})
	return out, err
}

// DeleteFile deletes a list. Messages that were sent to it keep their targets.
func (c *Client) DeleteFile(ctx context.Context, id herald.FileID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: filePath(id)})
}

func filePath(id herald.FileID) string { return "/v1/files/" + url.PathEscape(string(id)) }

// TagMembers are devices to put a tag on and to take it off: up to 1,000 by name
// on each side, and those of uploaded lists.
type TagMembers struct {
	Members
	AddFiles    []herald.FileID `json:"add_files,omitempty"`
	RemoveFiles []herald.FileID `json:"remove_files,omitempty"`
}

// ChangeTagByFiles is ChangeTag for devices of uploaded lists, too.
func (c *Client) ChangeTagByFiles(ctx context.Context, t herald.Tag, m TagMembers) (MembersChanged, error) {
	var out MembersChanged
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/tags/" + url.PathEscape(string(t)), body: m, into: &out})
	return out, err
}
