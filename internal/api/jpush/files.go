package jpush

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

func (a *API) fileCalls() []call {
	upload := func(of record.FileKind) func(*exchange) (any, error) {
		return func(x *exchange) (any, error) { return x.upload(of) }
	}
	return []call{
		changing(http.MethodPost, "files/alias", "uploadFile", upload(record.FileOfAliases)).streaming(),
		changing(http.MethodPost, "files/registration_id", "uploadFile", upload(record.FileOfIDs)).streaming(),
		on(http.MethodGet, "files", "listFiles", (*exchange).listFiles),
		on(http.MethodGet, "files/{id}", "showFile", (*exchange).showFile),
		changing(http.MethodDelete, "files/{id}", "deleteFile", (*exchange).deleteFile),
	}
}

// maxFile is how large an uploaded list may be.
const maxFile = 10 << 20

// formName is the part of the upload that is the list.
const formName = "filename"

type fileAnswer struct {
	ID herald.FileID `json:"file_id"`
}

// upload reads a list of targets, one on a line.
func (x *exchange) upload(of record.FileKind) (any, error) {
	if err := x.a.service.Files.MayUpload(x.p); err != nil {
		return nil, err
	}
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(x.a.cfg.BodyTime)) // not every connection has one
	part, err := x.list()
	if err != nil {
		return nil, err
	}
	name := path.Base(part.FileName())
	if name == "." || name == "/" || herald.ValidName("", name) != nil {
		name = "list.txt"
	}
	v, err := x.a.service.Files.Upload(x.r.Context(), x.p, api.Upload{Name: name, Of: string(of), Body: part})
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, refuse(codeTooLong, "the file is larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, err
	}
	return fileAnswer{v.ID}, nil
}

// list finds the list in the body, a form with several parts.
func (x *exchange) list() (*multipart.Part, error) {
	media, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, refuse(codeValue, "send the list as part %q of multipart/form-data", formName)
	}
	const frame = 64 << 10 // what is around the list
	form := multipart.NewReader(http.MaxBytesReader(x.w, x.r.Body, maxFile+frame), params["boundary"])
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, refuse(codeMissing, "the form has no part %q", formName)
		}
		if err != nil {
			return nil, refuse(codeValue, "the form is broken")
		}
		if part.FormName() == formName {
			return part, nil
		}
	}
}

type fileList struct {
	Total int          `json:"total_count"`
	Files []fileDetail `json:"files"`
}

type fileDetail struct {
	Type    string        `json:"type"`
	ID      herald.FileID `json:"file_id"`
	Name    string        `json:"file_name"`
	Created string        `json:"create_time"`
	Expires string        `json:"expire_time"`
}

func (x *exchange) fileDetail(f api.FileView) fileDetail {
	kind := "alias"
	if f.Of == string(record.FileOfIDs) {
		kind = "registration_id"
	}
	zone := x.a.cfg.Zone
	return fileDetail{kind, f.ID, f.Name, f.CreatedAt.In(zone).Format(secondForm), f.ExpiresAt.In(zone).Format(secondForm)}
}

func (x *exchange) listFiles() (any, error) {
	out := fileList{Files: []fileDetail{}}
	for cursor := ""; ; {
		page, err := x.a.service.Files.List(x.r.Context(), x.p, cursor, herald.MaxPageSize)
		if err != nil {
			return nil, err
		}
		for _, f := range page.Files {
			out.Files = append(out.Files, x.fileDetail(f))
		}
		if cursor = page.NextCursor; cursor == "" {
			out.Total = len(out.Files)
			return out, nil
		}
	}
}

func (x *exchange) showFile() (any, error) {
	f, err := x.a.service.Files.Get(x.r.Context(), x.p, herald.FileID(x.args[0]))
	if err != nil {
		return nil, err
	}
	return x.fileDetail(f), nil
}

func (x *exchange) deleteFile() (any, error) {
	return nothing{}, x.a.service.Files.Delete(x.r.Context(), x.p, herald.FileID(x.args[0]))
}
