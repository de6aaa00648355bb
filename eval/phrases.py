"""Sentences full of m, b and p, in eight languages; they were written for this purpose."""

from __future__ import annotations

# By language code of espeak-ng.
PHRASES = {
    "en": (
        "Mum, bring me a map of the pub.",
        "Peter became a member of the public library.",
        "A simple problem: people buy bread before breakfast.",
    ),
    "de": (
        "Mama bringt mir eine Mappe vom Bahnhof.",
        "Papa probiert bei Oma immer Apfelpudding.",
        "Peter möchte bloß ein bisschen Suppe.",
    ),
    "fr": (
        "Maman me prépare une bonne pomme.",
        "Papa part pour la montagne demain.",
        "Je bois un peu d'eau et je mange un bonbon.",
    ),
    "es": (
        "Mi mamá compra pan para la comida.",
        "Pablo bebe un poco de agua tibia.",
        "El pueblo es muy bonito en primavera.",
    ),
    "it": (
        "Mamma porta la bambola a Beppe.",
        "Il bambino beve un po' di acqua.",
        "Prima di pranzo compro il pane bianco.",
    ),
    "ru": (
        "Мама мыла раму, а папа пил компот.",  # noqa: RUF001
        "Бабушка пекла блины по субботам.",
        "Мы были в большом парке.",
    ),
    "cmn": (
        "爸爸妈妈明天不买苹果。",
        "朋友帮我把报纸放在门旁边。",
        "他们喜欢跑步和爬山。",
    ),
    "ja": (
        "ママはパンとバナナをたべます。",
        "ぼくのともだちはピアノがすきです。",
        "まいばんほんをよみます。",
    ),
}
