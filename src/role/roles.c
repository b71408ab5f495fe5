/* SPDX-License-Identifier: Apache-2.0 */
/* roles.c - the roles there are. */
#include "role/role.h"

const struct role *const roles[ROLE_COUNT] = {
	[ROLE_STORE] = &role_store,
	[ROLE_AUTH] = &role_auth,
	[ROLE_SCAN] = &role_scan,
	[ROLE_RESOLVER] = &role_resolver,
	[ROLE_RELAY] = &role_relay,
	[ROLE_INDEXER] = &role_indexer,
	[ROLE_SESSION_MX] = &role_session_mx,
	[ROLE_SESSION_USER] = &role_session_user,
	[ROLE_SESSION_ADMIN] = &role_session_admin,
};
