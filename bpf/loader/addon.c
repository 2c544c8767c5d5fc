// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The addon: a table of functions, one per kernel or libbpf operation. */
#include <node_api.h>
#include "link.h"
#include "log.h"
#include "map.h"
#include "netlink.h"
#include "object.h"
#include "pin.h"
#include "probe.h"
#include "ring.h"
#include "run.h"
#include "system.h"

static const struct {
	const char *name;
	napi_callback function;
} functions[] = {
	{"logTake", log_take},
	{"objectOpen", object_open},
	{"objectLoad", object_load},
	{"objectClose", object_close},
	{"objectGlobalSize", object_global_size},
	{"objectSetGlobal", object_set_global},
	{"objectMaps", object_maps},
	{"objectMapShape", object_map_shape},
	{"objectSetMapEntries", object_set_map_entries},
	{"objectSetMapPin", object_set_map_pin},
	{"objectMapFd", object_map_fd},
	{"objectPrograms", object_programs},
	{"objectSetProgramType", object_set_program_type},
	{"objectSetAutoload", object_set_autoload},
	{"objectProgramFd", object_program_fd},
	{"objPin", obj_pin},
	{"objGet", obj_get},
	{"objInfo", obj_info},
	{"progFdById", prog_fd_by_id},
	{"mapFdById", map_fd_by_id},
	{"linkFdById", link_fd_by_id},
	{"linkCreate", link_create},
	{"linkUpdate", link_update},
	{"linkDetach", link_detach},
	{"hookQuery", hook_query},
	{"xdpQuery", xdp_query},
	{"tcHookCreate", tc_hook_create},
	{"tcHookDestroy", tc_hook_destroy},
	{"tcAttach", tc_attach},
	{"tcDetach", tc_detach},
	{"tcQuery", tc_query},
	{"testRun", test_run},
	{"testRunAsync", test_run_async},
	{"possibleCpus", possible_cpus},
	{"mapLookup", map_lookup},
	{"mapUpdate", map_update},
	{"mapNextKey", map_next_key},
	{"mapRange", map_range},
	{"mapMemory", map_memory},
	{"mapMemoryClose", map_memory_close},
	{"probeMapType", probe_map_type},
	{"probeProgType", probe_prog_type},
	{"probeHelper", probe_helper},
	{"probeTcx", probe_tcx},
	{"probeMmapable", probe_mmapable},
	{"lockPath", lock_path},
	{"fileSystemMagic", file_system_magic},
	{"ktimeCoarse", ktime_coarse},
	{"ringOpen", ring_open},
	{"ringClose", ring_close},
	{"netlinkOpen", netlink_open},
	{"netlinkJoin", netlink_join},
	{"netlinkSend", netlink_send},
	{"netlinkClose", netlink_close},
};

NAPI_MODULE_INIT()
{
	log_start();
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		napi_value function = NULL;

		if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH,
					 functions[i].function, NULL, &function) != napi_ok ||
		    napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
			return NULL;
	}
	return exports;
}
