"""Everyday words that are spoken to train the speech encoder, by language code of espeak-ng.

They were written down for this purpose: common words, with all sounds of each language.
"""

from __future__ import annotations

WORDS: dict[str, tuple[str, ...]] = {
    language: tuple(words.split())
    for language, words in {
        "en": """
            the a I you we they he she people time water morning evening music paper table
            window garden summer winter baby mother father brother open begin maybe never always
            about above between before after beautiful important simple purple yellow orange
            bring begin place set lay white blue green red by with in at now again please soon
            one two three four five six seven eight nine zero map pub web bomb mumble pepper
            simple example family number problem remember member company apple happy bubble camp
            lamp stop keep sleep deep move leave love give have very over river voice free life
            enough laugh phone food moon boot good book look put full house cow now down out boy
            joy toy noise point day say make take late rain night light time fire high no go
            home road old cold show jaw law saw talk walk thought all small father car far start
            heart hard bird girl word work first nurse ship shop wish fish measure vision church
            teach much judge large thing think both with this that there yes yellow year use
            music queen quick wheel west wind wood what which one rain river road right hello
            house hand help ring song king long
        """,
        "de": """
            der die das und ich wir sie haben werden kann mehr schon immer wieder heute morgen
            abend wasser brot butter papier baum blume mutter vater bruder kommen machen
            sprechen schlafen öffnen schließen möchte müssen dürfen für über unter zwischen
            schön grün blau weiß fünf sieben acht neun zehn zwölf leben liebe mann frau kind
            haus garten straße stadt bahn zug buch musik freude arbeit pause problem beispiel
            apfel pfeffer wetter sonne mond zeitung euch heute leute auge
        """,
        "fr": """
            le la les une des je nous vous ils avoir être bonjour maison jardin matin soir
            musique papier pomme beau bleu blanc rouge vert petit grand enfant homme femme mère
            père frère manger boire parler ouvrir fermer peut-être toujours jamais aujourd'hui
            demain deux trois cinq sept huit neuf dix monde temps pain vin bon montagne campagne
            feuille soleil lune rue vue tu peu feu heure fleur
        """,
        "es": """
            el la los una yo nosotros ustedes tener ser buenos días casa jardín mañana noche
            música papel manzana bueno blanco rojo verde pequeño grande niño hombre mujer madre
            padre hermano comer beber hablar abrir cerrar siempre nunca hoy uno dos tres cinco
            siete ocho nueve diez mundo tiempo pan vino bomba amable pueblo fuego agua llave
            calle perro mucho ayuda
        """,
        "it": """
            il la gli una io noi voi avere essere buongiorno casa giardino mattina sera musica
            mela bello bianco rosso verde piccolo grande bambino uomo donna madre padre fratello
            mangiare bere parlare aprire chiudere sempre mai oggi uno due tre cinque sette otto
            nove dieci mondo tempo pane vino bomba popolo fuoco acqua chiave figlio sogno
        """,
        "cmn": """
            我 你 他 我们 今天 明天 早上 晚上 朋友 妈妈
            爸爸 音乐 报纸 苹果 白色 红色 蓝色 孩子 吃饭 喝水
            说话 开门 一 二 三 四 五 六 七 八
            九 十
            世界 时间 学生 老师 中国 飞机 火车 漂亮 明白 不能 非常 房子 人民 帮忙 满
        """,
        "ja": """
            わたし あなた きょう あした あさ ばん ともだち おかあさん おとうさん おんがく
            しんぶん りんご しろ あか あお こども たべる のむ はなす あける
            いち
            に さん し ご ろく なな はち きゅう じゅう せかい
            じかん がくせい せんせい ひこうき でんしゃ きれい ふゆ なつ まど みみ
            ぼうし ぱん
        """,
        "pt": """
            o a os uma eu nós vocês ter ser bom dia casa jardim manhã noite música papel maçã
            branco vermelho verde pequeno grande menino homem mulher mãe pai irmão comer beber
            falar abrir fechar sempre nunca hoje um dois três cinco sete oito nove dez mundo
            tempo pão vinho bomba amável povo fogo água chave rua
        """,
        "ru": """
            я ты он мы они иметь быть привет дом сад утро вечер музыка бумага яблоко белый
            красный зелёный маленький большой мальчик мужчина женщина мама папа брат есть пить
            говорить открыть закрыть всегда никогда сегодня один два три пять семь восемь девять
            десять мир время хлеб вино бомба народ огонь вода ключ улица
        """,
        "cs": """
            já ty on my oni mít být dobrý den dům zahrada ráno večer hudba papír jablko bílý
            červený zelený modrý malý velký chlapec muž žena máma táta bratr jíst pít mluvit
            otevřít zavřít vždy nikdy dnes zítra jeden dva tři čtyři pět šest sedm osm devět
            deset svět čas chléb víno bomba národ oheň voda klíč ulice řeka kámen pampeliška
            věc mimo příběh
        """,
        "fi": """
            minä sinä hän me he olla hyvä päivä talo piha aamu ilta musiikki paperi omena
            valkoinen punainen vihreä sininen pieni suuri poika mies nainen äiti isä veli syödä
            juoda puhua avata sulkea aina ei tänään huomenna yksi kaksi kolme neljä viisi kuusi
            seitsemän kahdeksan yhdeksän kymmenen maailma aika leipä viini pommi kansa tuli vesi
            avain katu pöytä lumi lampi kampa hymy työ yö höpö
        """,
        "ca": """
            el la jo tu nosaltres vostès tenir ser bon dia casa jardí matí nit música paper poma
            blanc vermell verd blau petit gran nen home dona mare pare germà menjar beure parlar
            obrir tancar sempre mai avui demà u dos tres cinc sis set vuit nou deu món temps pa
            vi bomba poble foc aigua clau carrer muntanya llibre peix caixa joc platja cambra
        """,
    }.items()
}  # fmt: skip
