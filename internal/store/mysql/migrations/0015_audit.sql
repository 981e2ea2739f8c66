-- +goose Up
-- The audit log by what it is asked for, newest first: a page of what is rare
-- does not read what is not.

DROP INDEX audit_object ON audit;
CREATE INDEX audit_object ON audit (app, object, id);
CREATE INDEX audit_operation ON audit (app, operation, id);
CREATE INDEX audit_actor ON audit (app, actor, id);
CREATE INDEX audit_kind ON audit (app, kind, id);
