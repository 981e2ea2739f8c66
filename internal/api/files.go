package api

import (
	"context"
	"io"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// MaxFileBytes is how large an uploaded list may be, before and after it is
// decompressed.
const MaxFileBytes = 64 << 20

// maxUploads is how many lists a node reads at once: each holds the hashes of
// its values, 16 bytes or so a line.
const maxUploads = 4

// FileView is an uploaded list as its app sees it.
type FileView struct {
	ID         herald.FileID `json:"id" doc:"Use it as audience.files."`
	Name       string        `json:"name,omitempty"`
	Of         string        `json:"of" enum:"registration_ids,aliases" doc:"What the lines were."`
	Lines      int64         `json:"lines" doc:"Lines that were not empty, without the header."`
	Devices    int64         `json:"devices" doc:"Devices that the list came to when it was uploaded."`
	Unknown    int64         `json:"unknown" doc:"Values that nobody has."`
	Duplicates int64         `json:"duplicates" doc:"Lines whose value came before."`
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  time.Time     `json:"expires_at" doc:"30 days after its last use."`
}

// FilePage is one page of files, newest first.
type FilePage struct {
	Files      []FileView `json:"files"`
	NextCursor string     `json:"next_cursor,omitempty"`
}

// Upload is a list to read.
type Upload struct {
	Name string // may be empty
	CSV  bool
	Of   string // registration_ids or aliases; "" leaves it to the header line
	Body io.Reader
}

// Files manages uploaded lists.
type Files struct {
	c       Config
	uploads chan struct{} // a place for each that is read now
}

func fileView(f record.File) FileView {
	return FileView{
		ID: f.ID, Name: f.Name, Of: string(f.Kind), Lines: f.Lines, Devices: f.Devices, Unknown: f.Unknown, Duplicates: f.Duplicates,
		CreatedAt: f.Created, ExpiresAt: f.Used.Add(registry.FileRetention),
	}
}

// MayUpload checks who uploads, and is asked before the list is read.
func (s *Files) MayUpload(p Principal) error { return p.may(ScopeSend) }

// Upload reads a list and keeps what it comes to.
func (s *Files) Upload(ctx context.Context, p Principal, u Upload) (FileView, error) {
	if err := s.MayUpload(p); err != nil {
		return FileView{}, err
	}
	if u.Name != "" {
		if err := herald.ValidName("name", u.Name); err != nil {
			return FileView{}, err
		}
	}
	kind := record.FileKind(u.Of)
	if kind != "" && kind != record.FileOfIDs && kind != record.FileOfAliases {
		return FileView{}, herald.Invalid("of", "Write registration_ids or aliases.", "%.20q is not a kind of list", u.Of)
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		e := herald.Errorf(herald.CodeRateLimited, "Upload one list after the other.", "this node reads %d lists already", maxUploads)
		e.RetryAfter = 5 * time.Second
		return FileView{}, e
	}
	b, err := s.c.Registry.NewFile(ctx, p.App, u.Name)
	if err != nil {
		return FileView{}, err
	}
	var lines int64
	kind, err = audience.ReadList(u.Body, audience.ListFormat{CSV: u.CSV, Kind: kind}, func(l audience.Line) error {
		if lines++; lines > registry.MaxFileLines {
			return herald.Errorf(herald.CodeTooLarge, "Split the list into several files; audience.files takes more than one.", "the list has more than %d lines", registry.MaxFileLines)
		}
		return b.Add(ctx, l.Kind, l.Value)
	})
	if err != nil {
		return FileView{}, err
	}
	if lines == 0 {
		return FileView{}, herald.Invalid("file", "Send one registration ID or alias on a line, or a CSV file with a column of that name, in UTF-8.", "the list has no line")
	}
	f, err := b.Finish(ctx, kind, lines)
	if err != nil {
		return FileView{}, err
	}
	return fileView(f), nil
}

// Get shows a file.
func (s *Files) Get(ctx context.Context, p Principal, id herald.FileID) (FileView, error) {
	if err := p.may(ScopeSend); err != nil {
		return FileView{}, err
	}
	f, err := s.c.Registry.FileInfo(ctx, p.App, id)
	if err != nil {
		return FileView{}, err
	}
	return fileView(f), nil
}

// List shows files, newest first.
func (s *Files) List(ctx context.Context, p Principal, cursor string, limit int) (FilePage, error) {
	if err := p.may(ScopeSend); err != nil {
		return FilePage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return FilePage{}, err
	}
	if cursor != "" && !herald.FileID(cursor).Valid() {
		return FilePage{}, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
	}
	list, err := s.c.Registry.Files(ctx, p.App, herald.FileID(cursor), limit+1)
	page := FilePage{Files: []FileView{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = string(list[limit-1].ID)
	}
	for _, f := range list {
		page.Files = append(page.Files, fileView(f))
	}
	return page, err
}

// Delete removes a file. Messages that were evaluated with it keep their
// targets.
func (s *Files) Delete(ctx context.Context, p Principal, id herald.FileID) error {
	if err := p.may(ScopeSend); err != nil {
		return err
	}
	return s.c.Registry.DeleteFile(ctx, p.App, id)
}
