-- +goose Up
-- The record, as of schema 6. What the tables are for is said in the schema of
-- SQLite and in docs/design/005-record.md. Texts are
-- bytes, so that no collation changes what is equal.

CREATE TABLE meta (
  name VARBINARY(512) NOT NULL PRIMARY KEY,
  value VARBINARY(512) NOT NULL
) ENGINE=InnoDB;

CREATE TABLE app (
  id BIGINT NOT NULL PRIMARY KEY,
  app_key VARBINARY(512) NOT NULL UNIQUE,
  name VARBINARY(1024) NOT NULL,
  secret_hash VARBINARY(512) NOT NULL,
  created BIGINT NOT NULL,
  settings LONGBLOB NOT NULL
) ENGINE=InnoDB;

CREATE TABLE app_head (
  app BIGINT NOT NULL PRIMARY KEY,
  epoch BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  next_ord BIGINT NOT NULL,
  next_n BIGINT NOT NULL,
  next_recipient BIGINT NOT NULL
) ENGINE=InnoDB;

CREATE TABLE api_key (
  app BIGINT NOT NULL,
  id VARBINARY(512) NOT NULL,
  name VARBINARY(512) NOT NULL,
  hash VARBINARY(512) NOT NULL,
  scopes LONGBLOB NOT NULL,
  created BIGINT NOT NULL,
  last_used BIGINT NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;

CREATE TABLE recipient (
  app BIGINT NOT NULL,
  ord BIGINT NOT NULL,
  alias VARBINARY(512) NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (app, ord),
  UNIQUE KEY recipient_alias (app, alias)
) ENGINE=InnoDB;

CREATE TABLE device (
  app BIGINT NOT NULL,
  ord BIGINT NOT NULL,
  id VARBINARY(512) NOT NULL,
  installation VARBINARY(512),
  recipient BIGINT,
  bound_pos BIGINT NOT NULL,
  platform VARBINARY(512) NOT NULL,
  app_version VARBINARY(512) NOT NULL,
  language VARBINARY(512) NOT NULL,
  time_zone VARBINARY(512) NOT NULL,
  attributes LONGBLOB,
  generation BIGINT NOT NULL,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  PRIMARY KEY (app, ord),
  UNIQUE KEY device_id (app, id),
  UNIQUE KEY device_installation (app, installation),
  KEY device_recipient (app, recipient),
  KEY device_bound (app, bound_pos)
) ENGINE=InnoDB;

CREATE TABLE removed (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  ord BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE TABLE set_chunk (
  app BIGINT NOT NULL,
  name VARBINARY(512) NOT NULL,
  slab BIGINT NOT NULL,
  upto BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, name, slab)
) ENGINE=InnoDB;

CREATE TABLE set_log (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  next_ord BIGINT NOT NULL,
  changes LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE TABLE msg (
  app BIGINT NOT NULL,
  id BIGINT NOT NULL,
  state VARBINARY(512) NOT NULL,
  ended BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  end_pos BIGINT NOT NULL,
  eval_pos BIGINT NOT NULL,
  by_alias BIGINT NOT NULL,
  devices BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  first_n BIGINT NOT NULL,
  priority VARBINARY(512) NOT NULL,
  collapse_key VARBINARY(512) NOT NULL,
  ordering_key VARBINARY(512) NOT NULL,
  ttl BIGINT NOT NULL,
  accepted BIGINT NOT NULL,
  due BIGINT NOT NULL,
  audience LONGBLOB NOT NULL,
  body LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  form BIGINT NOT NULL,
  target LONGBLOB NOT NULL,
  target_crc BIGINT NOT NULL,
  PRIMARY KEY (app, id),
  KEY msg_ends (ended, ends),
  KEY msg_by_alias (app, by_alias, ended, id, eval_pos, ends)
) ENGINE=InnoDB;

CREATE TABLE collapse (
  app BIGINT NOT NULL,
  collapse_key VARBINARY(512) NOT NULL,
  msg BIGINT NOT NULL,
  PRIMARY KEY (app, collapse_key, msg)
) ENGINE=InnoDB;

CREATE TABLE group_msg (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE TABLE notice (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE TABLE release_log (
  app BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  kind VARBINARY(512) NOT NULL,
  msg BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (app, pos)
) ENGINE=InnoDB;

CREATE TABLE entry (
  app BIGINT NOT NULL,
  ord BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  n BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  PRIMARY KEY (app, ord, pos, n)
) ENGINE=InnoDB;

CREATE TABLE target_draft (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  PRIMARY KEY (app, msg)
) ENGINE=InnoDB;

CREATE TABLE idempotency (
  app BIGINT NOT NULL,
  idem_key VARBINARY(512) NOT NULL,
  hash VARBINARY(512) NOT NULL,
  answer LONGBLOB NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (app, idem_key),
  KEY idempotency_expires (expires)
) ENGINE=InnoDB;

CREATE TABLE job (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  app BIGINT NOT NULL,
  kind VARBINARY(512) NOT NULL,
  msg BIGINT NOT NULL,
  due BIGINT NOT NULL,
  at BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  KEY job_at (at),
  KEY job_msg (app, msg)
) ENGINE=InnoDB;

CREATE TABLE msg_chunk (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  slab BIGINT NOT NULL,
  state VARBINARY(512) NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, slab, state)
) ENGINE=InnoDB;

CREATE TABLE direct_chunk (
  app BIGINT NOT NULL,
  state VARBINARY(512) NOT NULL,
  slice BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, state, slice)
) ENGINE=InnoDB;

CREATE TABLE receipt_head (
  app BIGINT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL,
  upto BIGINT NOT NULL
) ENGINE=InnoDB;

CREATE TABLE receipt_log (
  app BIGINT NOT NULL,
  n BIGINT NOT NULL,
  batch LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, n)
) ENGINE=InnoDB;

CREATE TABLE receipt_seg (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  slab BIGINT NOT NULL,
  from_n BIGINT NOT NULL,
  batch LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg, slab, from_n)
) ENGINE=InnoDB;

CREATE TABLE segment (
  app BIGINT NOT NULL,
  name VARBINARY(512) NOT NULL,
  pos BIGINT NOT NULL,
  audience LONGBLOB,
  crc BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (app, name, pos)
) ENGINE=InnoDB;

CREATE TABLE audience_file (
  app BIGINT NOT NULL,
  id VARBINARY(512) NOT NULL,
  name VARBINARY(512) NOT NULL,
  kind VARBINARY(512) NOT NULL,
  pos BIGINT NOT NULL,
  `lines` BIGINT NOT NULL,
  devices BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  duplicates BIGINT NOT NULL,
  chunks BIGINT NOT NULL,
  created BIGINT NOT NULL,
  used BIGINT NOT NULL,
  ready BIGINT NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;

CREATE TABLE file_chunk (
  app BIGINT NOT NULL,
  file VARBINARY(512) NOT NULL,
  slab BIGINT NOT NULL,
  bits LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, file, slab)
) ENGINE=InnoDB;

CREATE TABLE msg_count (
  app BIGINT NOT NULL,
  msg BIGINT NOT NULL,
  until BIGINT NOT NULL,
  data LONGBLOB NOT NULL,
  crc BIGINT NOT NULL,
  PRIMARY KEY (app, msg),
  KEY msg_count_until (until)
) ENGINE=InnoDB;

CREATE TABLE erasing (
  app BIGINT NOT NULL,
  id VARBINARY(512) NOT NULL,
  ord BIGINT NOT NULL,
  alias VARBINARY(512) NOT NULL,
  PRIMARY KEY (app, id)
) ENGINE=InnoDB;

-- The rows that the probe and each group of commits write.
INSERT INTO meta (name, value) VALUES ('probe', '0'), ('group', '');
