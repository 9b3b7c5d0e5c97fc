#ifndef CKERNELS_H
#define CKERNELS_H

#include "vk_common.h"
#include "vk_compress.h"
#include "vk_fetch.h"
#include "vk_geo.h"
#include "vk_group.h"
#include "vk_hash.h"
#include "vk_inflate.h"
#include "vk_json.h"
#include "vk_kernels.h"
#include "vk_literals.h"
#include "vk_place.h"
#include "vk_re2.h"
#include "vk_scan.h"
#include "vk_sys.h"
#include "vk_text.h"

#endif
